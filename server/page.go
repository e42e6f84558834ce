package server

import (
	"encoding/base64"
	"encoding/binary"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// defaultPageSize is the contract's default of PageSize.
const defaultPageSize = 50

// pageTokenPrefix is how the vendor's page tokens begin.
const pageTokenPrefix = "PA"

// pageQuery is what a request says about the page that it wants.
type pageQuery struct {
	Page      *int32
	PageSize  *int32
	PageToken *string
}

// pager turns a pageQuery into a part of a list, and that part into links. A link says behind or in front of which entry its
// page begins, so that entries which come and go elsewhere do not move it; the keyset vouches for it.
type pager struct {
	listing
	keyset  *secret.Keyset
	purpose string
	given   string // the page token of the request, if it has one
	number  int32
	size    int32
	part    store.Page
}

// newPager reads the query of a list.
func (s *Server) newPager(l listing, query pageQuery) (*pager, error) {
	p := &pager{keyset: s.config.Keyset, listing: l, size: defaultPageSize}
	p.purpose = "page token of " + l.account.String() + " " + l.path + "?" + l.filters.Encode()
	if query.PageSize != nil {
		p.size = *query.PageSize
	}
	if query.Page != nil {
		p.number = *query.Page
	}
	p.part.Limit = int(p.size) + 1 // one more tells whether there is another page
	if query.PageToken == nil {
		p.part.Offset = int(p.number) * int(p.size)
		return p, nil
	}
	return p, p.useToken(*query.PageToken, query.Page)
}

// direction is the side of an entry on which a page lies.
type direction byte

const (
	after  direction = 'a'
	before direction = 'b'
)

// useToken begins the page where a token says. Page is a label then, and must be the one that the link had.
func (p *pager) useToken(token string, page *int32) error {
	encoded, hasPrefix := strings.CutPrefix(token, pageTokenPrefix)
	signed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || !hasPrefix || strings.ContainsAny(encoded, "\r\n") { // which the decoder skips
		return errPageToken
	}
	content, err := p.keyset.Verify(p.purpose, signed)
	if err != nil || len(content) != 21 {
		return errPageToken
	}
	number := int32(binary.BigEndian.Uint32(content[17:])) //nolint:gosec // it was an int32 when it was signed
	if page != nil && *page != number {
		return errPageToken
	}
	p.number, p.given = number, token
	id := uuid.UUID(content[1:17])
	if direction(content[0]) == before {
		p.part.Before = &id
	} else {
		p.part.After = &id
	}
	return nil
}

// links are the members that every page has.
type links struct {
	uri, first     string
	next, previous nullable.Nullable[string]
	page, size     int32
}

// listing says which list is read: its path, its filters, and whose it is. A page token fits one listing.
type listing struct {
	account uuid.UUID
	path    string
	filters url.Values
}

// readPage reads the page of a list that a query asks for, and makes its links.
func readPage[T any](
	s *Server, l listing, query pageQuery, read func(store.Page) ([]T, error), id func(T) uuid.UUID,
) ([]T, links, error) {
	p, err := s.newPager(l, query)
	if err != nil {
		return nil, links{}, err
	}
	items, err := read(p.part)
	if err != nil {
		return nil, links{}, err
	}
	items, made := cutPage(p, items, id)
	return items, made, nil
}

// cutPage takes the entry too many off what the store has returned, and makes the links.
func cutPage[T any](p *pager, items []T, id func(T) uuid.UUID) ([]T, links) {
	backwards := p.part.Before != nil
	more := len(items) > int(p.size) // in the direction in which the page was read
	if more && backwards {
		items = items[1:]
	} else if more {
		items = items[:p.size]
	}
	none := nullable.NewNullNullable[string]()
	made := links{uri: p.link(p.number, p.given), first: p.link(0, ""), next: none, previous: none, page: p.number, size: p.size}
	hasNext, hasPrevious := more, p.number > 0
	if backwards {
		hasNext, hasPrevious = true, more
	}
	if len(items) == 0 {
		if backwards { // everything in front of the entry is gone: what is left begins with it
			made.next = nullable.NewNullableWithValue(p.link(0, ""))
		} else if p.number > 0 { // beyond the end
			made.previous = nullable.NewNullableWithValue(p.link(p.number-1, ""))
		}
		return items, made
	}
	if hasNext {
		made.next = p.linkTo(after, id(items[len(items)-1]), p.number+1)
	}
	if hasPrevious {
		made.previous = p.linkTo(before, id(items[0]), max(p.number-1, 0))
	}
	return items, made
}

// linkTo links to the page on one side of an entry.
func (p *pager) linkTo(side direction, id uuid.UUID, number int32) nullable.Nullable[string] {
	return nullable.NewNullableWithValue(p.link(number, p.token(side, id, number)))
}

func (p *pager) token(side direction, id uuid.UUID, number int32) string {
	content := append([]byte{byte(side)}, id[:]...)
	content = binary.BigEndian.AppendUint32(content, uint32(number)) //nolint:gosec // it is not negative
	return pageTokenPrefix + base64.RawURLEncoding.EncodeToString(p.keyset.Sign(p.purpose, content))
}

func (p *pager) link(number int32, token string) string {
	query := maps.Clone(p.filters)
	query.Set("Page", strconv.Itoa(int(number)))
	query.Set("PageSize", strconv.Itoa(int(p.size)))
	if token != "" {
		query.Set("PageToken", token)
	}
	return p.path + "?" + query.Encode()
}

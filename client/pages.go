package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
)

// maxPageSize is the vendor's bound on PageSize.
const maxPageSize = 1000

// pageSize returns the parameter to send; nil leaves it out.
func pageSize(size int) (*int32, error) {
	if size < 0 || size > maxPageSize {
		return nil, &ArgumentError{Argument: "PageSize", Reason: "not from 1 to 1000"}
	}
	return optional(int32(size)), nil
}

// pages iterates over a list by following the links from page to page, as the vendor tells clients to, so that
// what others add meanwhile does not disturb it. split returns the items of a page and the link to the next.
func pages[P, T any](
	ctx context.Context, c *Client, name string, first func() (*http.Request, error), split func(P) ([]T, string),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for request := first; request != nil; {
			items, next, err := page(ctx, c, name, request, split)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if request = nil; next != "" {
				request = func() (*http.Request, error) { return c.follow(ctx, next) }
			}
		}
	}
}

func page[P, T any](
	ctx context.Context, c *Client, name string, request func() (*http.Request, error), split func(P) ([]T, string),
) ([]T, string, error) {
	body, err := c.do(ctx, operation{name: name, repeatable: true, request: request})
	if err != nil {
		return nil, "", err
	}
	var wire P
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, errNoSuccess(err))
	}
	items, next := split(wire)
	return items, next, nil
}

// follow requests a link of a list. It is a path on the server that gave it: a link to anywhere else would show the credential
// to somebody else.
func (c *Client) follow(ctx context.Context, link string) (*http.Request, error) {
	if !strings.HasPrefix(link, "/") || strings.HasPrefix(link, "//") || strings.Contains(link, `\`) {
		return nil, errors.New("the server's link to the next page is no path of its own")
	}
	return http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.server, "/")+link, nil)
}

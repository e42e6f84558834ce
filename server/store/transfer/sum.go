package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/tokenwire/tokenwire/server/store"
)

// Sum is what tells rows from other rows.
type Sum struct {
	Rows   int64
	SHA256 [sha256.Size]byte
}

func sum(ctx context.Context, from store.RowReader, part store.Part, tick func()) (Sum, error) {
	var s Sum
	hash := sha256.New()
	var buffer []byte
	err := from.Rows(ctx, part, nil, func(row store.Row) error {
		var err error
		if buffer, err = appendRow(buffer[:0], row); err != nil {
			return err
		}
		_, _ = hash.Write(buffer) // a hash takes everything
		s.Rows++
		tick()
		return nil
	})
	hash.Sum(s.SHA256[:0])
	return s, err
}

// appendRow appends a row in a form that no other row has.
func appendRow(to []byte, row store.Row) ([]byte, error) {
	for _, value := range row {
		switch v := value.(type) {
		case nil:
			to = append(to, 'n')
		case int64:
			to = binary.BigEndian.AppendUint64(append(to, 'i'), uint64(v)) //nolint:gosec // the same bits
		case string:
			to = append(binary.BigEndian.AppendUint32(append(to, 't'), uint32(len(v))), v...) //nolint:gosec // no database keeps 4 GiB in a value
		case []byte:
			to = append(binary.BigEndian.AppendUint32(append(to, 'b'), uint32(len(v))), v...) //nolint:gosec // as above
		default:
			return nil, fmt.Errorf("a value is a %T", value)
		}
	}
	return to, nil
}

// size is about how much memory a row needs.
func size(row store.Row) int {
	bytes := 0
	for _, value := range row {
		switch v := value.(type) {
		case string:
			bytes += len(v)
		case []byte:
			bytes += len(v)
		}
		bytes += 16
	}
	return bytes
}

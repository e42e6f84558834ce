// Package transfer copies a database into an empty one of another kind.
//
// The source is read as it was at one moment. Its rows go over in the order of their primary keys, a page in a transaction, so that
// memory is bounded and the rows that have arrived are always those up to some key. A copy that was interrupted, at whatever moment,
// goes on behind the greatest key that is there. Then both sides are read again from the beginning to the end, counted and hashed: a
// row that was changed at the target, or at the source between an interruption and the second try, is noticed there. Until that has
// come out well the target carries a mark, with which the store does not open it.
//
// A row is hashed as its values in the order of the columns, each with a byte that says what it is and, where it may be shorter or
// longer, its length. So it does not matter how a database keeps them.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tokenwire/tokenwire/server/store"
)

// pageRows and pageBytes bound a page: what is in memory, and what an interruption loses. Values have bounds of their own, so that
// a page exceeds the second by one row at most.
const (
	pageRows  = 5000
	pageBytes = 4 << 20
)

// Progress hears how many rows of how many are done. nil hears nothing.
type Progress func(done, total int)

// Copy copies what is not at the target yet, and returns how many rows that were. Answers that have expired at now stay behind.
func Copy(ctx context.Context, from store.Exporter, to store.Importer, now time.Time, progress Progress) (int, error) {
	origin, err := from.Origin(ctx)
	if err != nil {
		return 0, err
	}
	if err := to.Begin(ctx, origin); err != nil {
		return 0, err
	}
	c := copying{from: from, to: to, progress: progress}
	parts := store.Parts(now)
	if c.total, err = count(ctx, from, parts); err != nil {
		return 0, err
	}
	there, err := count(ctx, to, parts)
	if err != nil {
		return 0, err
	}
	c.done = there
	for _, part := range parts {
		if err := c.part(ctx, part); err != nil {
			return c.done - there, fmt.Errorf("copy the %s: %w", part.Name, err)
		}
	}
	return c.done - there, nil
}

func count(ctx context.Context, from store.RowReader, parts []store.Part) (int, error) {
	total := 0
	for _, part := range parts {
		rows, err := from.CountRows(ctx, part)
		if err != nil {
			return 0, fmt.Errorf("count the %s: %w", part.Name, err)
		}
		total += int(rows)
	}
	return total, nil
}

// copying is a copy at work.
type copying struct {
	from        store.Exporter
	to          store.Importer
	progress    Progress
	done, total int
}

func (c *copying) part(ctx context.Context, part store.Part) error {
	last, err := c.to.LastKey(ctx, part)
	if err != nil {
		return err
	}
	var page []store.Row
	bytes := 0
	flush := func() error {
		if len(page) == 0 {
			return nil
		}
		if err := c.to.AddRows(ctx, part, page); err != nil {
			return err
		}
		c.done += len(page)
		page, bytes = page[:0], 0
		if c.progress != nil {
			c.progress(c.done, c.total)
		}
		return nil
	}
	err = c.from.Rows(ctx, part, last, func(row store.Row) error {
		page = append(page, row)
		if bytes += size(row); len(page) < pageRows && bytes < pageBytes {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// Comparison is what both sides have of a part.
type Comparison struct {
	Part     string
	From, To Sum
}

// Same reports whether both sides have the same rows.
func (c Comparison) Same() bool { return c.From == c.To }

// Verify reads both sides, and takes the mark from the target if they are the same.
func Verify(ctx context.Context, from store.Exporter, to store.Importer, now time.Time, progress Progress) ([]Comparison, error) {
	parts := store.Parts(now)
	total, err := count(ctx, to, parts)
	if err != nil {
		return nil, err
	}
	done, same := 0, true
	tick := func() {
		if done++; progress != nil && (done%pageRows == 0 || done == total) {
			progress(done, total)
		}
	}
	var found []Comparison
	for _, part := range parts {
		c, err := compare(ctx, from, to, part, tick)
		if err != nil {
			return nil, fmt.Errorf("verify the %s: %w", part.Name, err)
		}
		found, same = append(found, c), same && c.Same()
	}
	if !same {
		return found, nil
	}
	return found, to.Finish(ctx)
}

// compare reads both sides at the same time.
func compare(ctx context.Context, from, to store.RowReader, part store.Part, tick func()) (Comparison, error) {
	c := Comparison{Part: part.Name}
	var errs [2]error
	var sides sync.WaitGroup
	sides.Go(func() { c.From, errs[0] = sum(ctx, from, part, func() {}) })
	sides.Go(func() { c.To, errs[1] = sum(ctx, to, part, tick) })
	sides.Wait()
	return c, errors.Join(errs[:]...)
}

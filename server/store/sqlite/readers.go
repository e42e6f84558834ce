package sqlite

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tokenwire/tokenwire/server/store"
)

// readers are the connections that read.
type readers struct {
	mu   sync.RWMutex  // held for reading by who reads
	pool *sqlitex.Pool // nil while there are none
}

// open opens them. The caller holds mu, or is alone.
func (r *readers) open(path string) error {
	pool, err := sqlitex.NewPool(path, sqlitex.PoolOptions{
		Flags: sqlite.OpenReadWrite, PoolSize: max(4, runtime.GOMAXPROCS(0)),
		PrepareConn: func(c *sqlite.Conn) error { return prepare(conn{c}, "query_only = 1") },
	})
	if err != nil {
		return fmt.Errorf("open %s for reading: %w", path, err)
	}
	r.pool = pool
	return nil
}

// close closes them. The caller holds mu.
func (r *readers) close() error {
	pool := r.pool
	if r.pool = nil; pool == nil {
		return nil
	}
	return pool.Close()
}

// use runs f on one of them, until ctx ends.
func (r *readers) use(ctx context.Context, f func(conn) error) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.pool == nil {
		return store.ErrUnavailable
	}
	c, err := r.pool.Take(ctx)
	if err != nil {
		return err
	}
	defer r.pool.Put(c)
	return f(conn{c})
}

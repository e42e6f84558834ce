package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errSilent says that a server was given up because it did not answer. It is like a lost connection, of which nobody has been told.
var errSilent = errors.New("the server does not answer any more")

// link is all connections to the database until a server is given up whose machine has vanished, or the way to it: nothing comes from
// there, no error either, and each call alone could only wait until its time is over. The connection that listens notices first.
type link struct {
	readers, writing *pgxpool.Pool

	up   context.Context //nolint:containedctx // it is no call's
	fall context.CancelFunc
}

func connect(config *pgxpool.Config) (*link, error) {
	ctx := context.Background()
	readers, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	writing, err := pgxpool.NewWithConfig(ctx, forWriting(config))
	if err != nil {
		readers.Close()
		return nil, err
	}
	l := &link{readers: readers, writing: writing}
	l.up, l.fall = context.WithCancel(ctx)
	return l, nil
}

// within returns a context that ends also when the link falls. The function must be called in the end with what came of it; it
// returns errSilent in place of an error that comes from that.
func (l *link) within(ctx context.Context) (context.Context, func(error) error) {
	inner, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.up, cancel)
	return inner, func(err error) error {
		defer cancel()
		if stop() || err == nil || ctx.Err() != nil || isOurs(err) {
			return err
		}
		return errSilent
	}
}

// close waits for those who have connections.
func (l *link) close() {
	l.writing.Close()
	l.readers.Close()
	l.fall()
}

// replace lets what comes next have a new link, unless it has one already. The old one is closed aside, for pgx takes up to 15
// seconds to close a connection whose other end says nothing, and keeps its place in the pool as long.
func (db *DB) replace(l *link) {
	if db.link.Load() != l {
		return
	}
	next, err := connect(db.config)
	if err != nil { // the configuration was good before
		return
	}
	if !db.link.CompareAndSwap(l, next) {
		next.close()
		return
	}
	if db.closed.Err() != nil { // and Close may not have seen this one
		next.close()
	}
	// Who waits on the old one may wait for a server that is gone without a word, of which only another connection has heard.
	time.AfterFunc(quietTimeout, l.fall)
	go l.close()
}

// giveUp ends what waits for the server at the other end of a connection that is silent. What comes next goes to whichever answers.
func (db *DB) giveUp(c *pgx.Conn) {
	db.silences.note(c.PgConn().Conn().RemoteAddr().String())
	l := db.link.Load()
	db.replace(l)
	l.fall()
}

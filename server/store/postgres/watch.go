package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxSilence is when Watch gives a server up. A program that is run once can wait longer than a request.
const maxSilence = 15 * time.Second

// Watch returns a context that ends when the server that dsn names does not answer any more, with a cause that says so: without it, who
// waits for an answer from a machine that has vanished waits until the system gives the connection up, and for one that is stopped for
// ever. It is for programs that are run once; who uses Notify is told by that. The caller calls the function in the end.
func Watch(ctx context.Context, dsn string) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	cancel := func() { end(nil) }
	config, err := parse("--db", dsn)
	if err != nil { // which is for those to say who use it
		return ctx, cancel
	}
	go func() {
		w := watcher{config: config.ConnConfig}
		defer w.disconnect()
		for heard := time.Now(); ctx.Err() == nil; {
			switch err := w.ask(ctx); {
			case !pgconn.Timeout(err): // an answer, or a refusal, of which who waits has heard as well
				heard = time.Now()
			case time.Since(heard) > maxSilence:
				end(fmt.Errorf("the database %s has not answered for %v: try again when it does", Name(dsn), maxSilence))
				return
			}
			timer := time.NewTimer(quietTimeout)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}()
	return ctx, cancel
}

// watcher is a connection that asks for signs of life.
type watcher struct {
	config *pgx.ConnConfig
	conn   *pgx.Conn
}

func (w *watcher) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	if w.conn == nil {
		var err error
		if w.conn, err = pgx.ConnectConfig(ctx, w.config); err != nil {
			w.conn = nil
			return err
		}
	}
	err := w.conn.Ping(ctx)
	if err != nil {
		w.disconnect()
	}
	return err
}

// disconnect says goodbye, and waits for no answer.
func (w *watcher) disconnect() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), quietTimeout)
	defer cancel()
	_ = w.conn.Close(ctx)
	w.conn = nil
}

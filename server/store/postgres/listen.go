package postgres

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// channel has the ids of tokens that do not authenticate any more as they did, from all processes that use the database.
const channel = "tokenwire_tokens"

const (
	// notify has the ids of all tokens that a batch has changed: a text may have up to 8000 bytes, which is twice what maxBatch of them need.
	notify = `SELECT pg_notify('` + channel + `', $1)`

	// quietTimeout is how long a connection may be silent before it is asked whether it is alive.
	quietTimeout = 2 * time.Second
	maxPause     = 5 // attempts: later ones wait no longer
)

// queueNotifications tells the others. It stands behind the commit, in the same round trip, and not in the transaction: those who
// commit a notification wait for each other throughout the whole server, and would do so for the disk and the standbys. When the
// server fails between the two, the notification is lost, as it may be on its way to anybody; nobody relies on it alone.
func (s *state) queueNotifications(b *pgx.Batch) {
	if len(s.dirty.changed) == 0 {
		return
	}
	var text []byte
	for token := range s.dirty.changed {
		if len(text) > 0 {
			text = append(text, ',')
		}
		text = hex.AppendEncode(text, token[:])
	}
	b.Queue(notify, string(text))
}

// Notify calls changed with the tokens that any process has changed, and missed when it may not have heard of some, until ctx ends or
// the store is closed.
func (db *DB) Notify(ctx context.Context, changed func(tokens []uuid.UUID), missed func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(db.closed, cancel)()
	db.silences.asked.Store(true)
	defer db.silences.asked.Store(false)
	server := ""
	for try := 1; ctx.Err() == nil; try = min(try+1, maxPause) {
		if db.listen(ctx, &server, changed, missed) {
			try = 1
		}
		missed()
		pause(ctx, try)
	}
}

// listen listens on a connection of its own until it breaks, and reports whether it had one, or has waited for one already. When it
// leads to another server than the one before, the other connections lead to the wrong one, and may wait there without a word. That
// it was cut says nothing about them.
func (db *DB) listen(ctx context.Context, server *string, changed func([]uuid.UUID), missed func()) bool {
	connecting, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	config := db.asking.Copy()
	db.silences.arrange(config)
	began := time.Now()
	c, err := pgx.ConnectConfig(connecting, config)
	if err != nil {
		return time.Since(began) >= quietTimeout
	}
	defer func() { _ = c.Close(connecting) }()
	before := *server
	if *server = c.PgConn().Conn().RemoteAddr().String(); before != "" && before != *server {
		db.replace(db.link.Load())
	}
	if _, err := c.Exec(connecting, `LISTEN `+channel); err != nil {
		return false
	}
	missed() // what was changed before it listened
	for {
		waiting, cancel := context.WithTimeout(ctx, quietTimeout)
		notification, err := c.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			changed(parseIDs(notification.Payload))
		case ctx.Err() != nil, !pgconn.Timeout(err):
			return true
		case !alive(ctx, c):
			if ctx.Err() == nil {
				db.giveUp(c)
			}
			return true
		}
	}
}

// alive asks for a sign of life. Notifications that come with it are kept for the next wait.
func alive(ctx context.Context, c *pgx.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	return c.Ping(ctx) == nil
}

// parseIDs leaves out what is no id: anybody who may use the database may notify.
func parseIDs(text string) []uuid.UUID {
	var list []uuid.UUID
	for part := range strings.SplitSeq(text, ",") {
		if token, err := uuid.Parse(part); err == nil {
			list = append(list, token)
		}
	}
	return list
}

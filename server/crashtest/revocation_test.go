//go:build unix

package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

const (
	// revocations is how many tokens each way to revoke is measured with.
	revocations = 6
	// hammered is how long a server waits between two uses of a token.
	hammered = 3 * time.Millisecond
)

// revocation is a way to end what a token may do. It returns when that is over: when it is answered, or later.
type revocation struct {
	name   string
	revoke func(ctx context.Context, admin *client.Client, id string) (time.Time, error)
}

func waysToRevoke() []revocation {
	now := func(err error) (time.Time, error) { return time.Now(), err }
	return []revocation{
		{"deleted", func(ctx context.Context, admin *client.Client, id string) (time.Time, error) {
			return now(admin.DeleteToken(ctx, id))
		}},
		{"narrowed", func(ctx context.Context, admin *client.Client, id string) (time.Time, error) {
			_, err := admin.UpdateToken(ctx, id, client.UpdateTokenParams{Permissions: client.SetPermissions(client.PermissionFax)})
			return now(err)
		}},
		{"rotated", func(ctx context.Context, admin *client.Client, id string) (time.Time, error) {
			_, err := admin.RotateToken(ctx, id, client.RotateTokenParams{})
			return now(err)
		}},
		{"expired", expireSoon},
	}
}

// expireSoon lets a token expire in a moment. Where the machine is so busy that the moment is over when the server reads of it, that is
// refused, and asked again with more time.
func expireSoon(ctx context.Context, admin *client.Client, id string) (time.Time, error) {
	for lead := 200 * time.Millisecond; ; lead *= 2 {
		at := time.Now().Add(lead)
		_, err := admin.UpdateToken(ctx, id, client.UpdateTokenParams{Expiry: client.ExpireAt(at)})
		if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusUnprocessableEntity && lead < requestTimeout {
			continue
		}
		if answered := time.Now(); answered.After(at) {
			at = answered
		}
		return at, err
	}
}

// hearing is how well servers hear of each other's changes.
type hearing struct {
	name string
	// between changes the way of a server to the database.
	between func(t *testing.T, dsn string) string
	// disturb does something until the context ends, and returns whether that has had an effect.
	disturb func(ctx context.Context, dsn string) (bool, error)
	lag     []time.Duration
}

func hearings() []*hearing {
	var wires []*wire
	return []*hearing{
		{name: "with notifications"},
		{name: "listeners always cut off", disturb: cutListeners},
		{
			name: "notifications lost",
			between: func(t *testing.T, dsn string) string {
				t.Helper()
				wires = append(wires, newWire(t, dsn, true))
				return wires[len(wires)-1].url
			},
			disturb: func(ctx context.Context, _ string) (bool, error) {
				<-ctx.Done()
				lost := true
				for _, w := range wires {
					lost = lost && w.lost.Load() > 0
				}
				return lost, nil
			},
		},
	}
}

// cutListeners ends the connections that listen, as often as there are any.
func cutListeners(ctx context.Context, dsn string) (bool, error) {
	ended := int64(0)
	connection, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return false, err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	for ctx.Err() == nil {
		tag, err := connection.Exec(context.WithoutCancel(ctx), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE 'LISTEN %'`)
		if err != nil {
			return false, err
		}
		ended += tag.RowsAffected()
		<-time.After(pace / 2)
	}
	return ended > replicas, nil
}

// testRevocation measures how long servers accept what was revoked at another one.
func testRevocation(t *testing.T, program string) {
	t.Helper()
	cluster := postgrestest.Start(t, nil)
	var text strings.Builder
	fmt.Fprintf(&text, "\n  after the answer, accepted by the other servers for\n  %-36s%12s%12s", "", "median", "maximum")
	all := hearings()
	for _, h := range all {
		t.Run(h.name, func(t *testing.T) {
			servers := h.serve(t, program, cluster.NewDatabase(t))
			for _, way := range waysToRevoke() {
				lags := revokeAll(t, servers, way)
				h.lag = append(h.lag, lags...)
				fmt.Fprintf(&text, "\n  %-36s%12v%12v", h.name+": "+way.name, median(lags), largest(lags))
			}
		})
	}
	t.Log(text.String())
	if with, without := median(all[0].lag), median(all[2].lag); !t.Failed() && with >= without {
		t.Errorf("half of all changes are obeyed after %v with notifications, and after %v when they are lost", with, without)
	}
}

// serve starts the servers, and disturbs them until the test ends.
func (h *hearing) serve(t *testing.T, program, dsn string) []*child {
	t.Helper()
	on := site{program: program, dir: t.TempDir(), url: dsn}
	var servers []*child
	for range replicas {
		if h.between != nil {
			on.url = h.between(t, dsn)
		}
		servers = append(servers, on.start(t))
	}
	if h.disturb != nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		done := make(chan func())
		go func() {
			had, err := h.disturb(ctx, dsn)
			done <- func() {
				if !had || err != nil {
					t.Errorf("%s: that was not so: %v", h.name, err)
				}
			}
		}()
		t.Cleanup(func() {
			cancel()
			(<-done)()
		})
	}
	return servers
}

// hammer is a use of one token at one server, again and again.
type hammer struct {
	accepted atomic.Int64 // how often
	latest   time.Time    // when the latest use that was accepted had begun
	err      error
}

func (h *hammer) run(ctx context.Context, c *child, as *client.Client, anchor string) {
	for ctx.Err() == nil {
		u, err := c.try(context.WithoutCancel(ctx), as, anchor)
		if err != nil {
			h.err = err
			return
		}
		if u.result == manages {
			h.latest = u.began
			h.accepted.Add(1)
		}
		<-time.After(hammered)
	}
}

// revokeAll uses tokens at all servers but the first, revokes them there, and returns for how long each other one has accepted each.
func revokeAll(t *testing.T, servers []*child, way revocation) []time.Duration {
	t.Helper()
	admin, keeper := servers[0].as(t, adminSecret), anchor(t, servers[0])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	tokens, hammers := make([]*client.Token, revocations), make([][]*hammer, revocations)
	for i := range tokens {
		token, err := admin.CreateToken(t.Context(), client.CreateTokenParams{
			Name: way.name, Permissions: []client.Permission{client.PermissionManagement},
		})
		must(t, err)
		tokens[i] = token
		for _, c := range servers[1:] {
			h, as := &hammer{}, c.as(t, token.Secret.Reveal())
			hammers[i] = append(hammers[i], h)
			wg.Go(func() { h.run(ctx, c, as, keeper) })
		}
	}
	over := make([]time.Time, revocations)
	for i, token := range tokens {
		for _, h := range hammers[i] {
			before := h.accepted.Load()
			until(t, time.Now().Add(requestTimeout), "the token is in use", func() bool { return h.accepted.Load() > before+1 })
		}
		<-time.After(rand.N(obeyed / 4)) // what is remembered has any age then
		var err error
		over[i], err = way.revoke(t.Context(), admin, token.ID)
		must(t, err)
		mayNotChange(t, servers, token, over[i])
	}
	<-time.After(time.Until(over[revocations-1].Add(obeyed + obeyed/2)))
	cancel()
	wg.Wait()
	var lags []time.Duration
	for i := range tokens {
		for _, h := range hammers[i] {
			must(t, h.err)
			lag := max(0, h.latest.Sub(over[i]))
			lags = append(lags, lag)
			if lag > obeyed {
				t.Errorf("a token that was %s was accepted by another server for %v, want %v at most", way.name, lag, obeyed)
			}
		}
	}
	return lags
}

// mayNotChange wants what a token asks for not to happen any more, at whatever server, from the moment on at which it was revoked. The
// server that has revoked it does not even let it read.
func mayNotChange(t *testing.T, servers []*child, token *client.Token, over time.Time) {
	t.Helper()
	<-time.After(time.Until(over))
	if u := try(t, servers[0], token.ID, token.Secret.Reveal()); u.result == manages {
		t.Errorf("a token that was revoked %s at the server that has done so", u.result)
	}
	for _, c := range servers {
		_, err := c.as(t, token.Secret.Reveal()).CreateToken(t.Context(), client.CreateTokenParams{
			Name: "too late", Permissions: []client.Permission{client.PermissionFax},
		})
		if !errors.Is(err, client.ErrUnauthorized) {
			t.Errorf("a token that was revoked has made another one (%v)", err)
		}
	}
}

package postgres

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// silences knows from which addresses nothing comes, not even that nobody listens there. A machine that has vanished is one, and so
// is a server that has been stopped: its kernel goes on accepting connections.
//
// Who connects to one waits in vain for as long as it may. So while one connection goes on asking, that which listens, the calls do
// not: they go to another host, or are told at once. The first word from the address ends that.
type silences struct {
	mu        sync.Mutex
	addresses map[string][]string // of each host
	silent    map[string]bool     // by address

	any   atomic.Bool // there are silent ones
	asked atomic.Bool // somebody goes on asking them
}

func (s *silences) note(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent[address] = true
	s.any.Store(true)
}

func (s *silences) heard(address string) {
	if !s.any.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.silent, address)
	s.any.Store(len(s.silent) > 0)
}

func (s *silences) isSilent(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent[address]
}

// watch lets connections tell which addresses are silent, and calls obey it. It returns the configuration of the connection that
// goes on asking.
func (s *silences) watch(config *pgxpool.Config) *pgx.ConnConfig {
	s.addresses, s.silent = make(map[string][]string), make(map[string]bool)
	c := config.ConnConfig
	lookup, dial := c.LookupFunc, c.DialFunc
	c.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		found, err := lookup(ctx, host)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.addresses[host] = found
		return found, err
	}
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return s.dial(ctx, dial, network, address)
	}
	asking := c.Copy()
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if s.asked.Load() && s.isSilent(address) {
			return nil, errSilent
		}
		return asking.DialFunc(ctx, network, address)
	}
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		s.arrange(c)
		return nil
	}
	return asking
}

func (s *silences) dial(ctx context.Context, dial pgconn.DialFunc, network, address string) (net.Conn, error) {
	began := time.Now()
	c, err := dial(ctx, network, address)
	if err != nil {
		if time.Since(began) >= quietTimeout {
			s.note(address)
		}
		return nil, err
	}
	return &heard{Conn: c, silences: s, address: address, began: began}, nil
}

// heard is a connection that says whether anything has come by it.
type heard struct {
	net.Conn

	silences *silences
	address  string
	began    time.Time
	any      atomic.Bool
}

// Read reads.
func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if n > 0 {
		h.any.Store(true)
		h.silences.heard(h.address)
	}
	return n, err
}

// Close closes the connection.
func (h *heard) Close() error {
	if !h.any.Load() && time.Since(h.began) >= quietTimeout {
		h.silences.note(h.address)
	}
	return h.Conn.Close()
}

// arrange puts silent hosts last: each connection would wait for them before it asks another one.
func (s *silences) arrange(c *pgx.ConnConfig) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rank := func(host *pgconn.FallbackConfig) int {
		isSilent := func(address string) bool { return s.silent[net.JoinHostPort(address, strconv.Itoa(int(host.Port)))] }
		if slices.ContainsFunc(s.addresses[host.Host], isSilent) {
			return 1
		}
		return 0
	}
	hosts := append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
	slices.SortStableFunc(hosts, func(a, b *pgconn.FallbackConfig) int { return cmp.Compare(rank(a), rank(b)) })
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = hosts[0].Host, hosts[0].Port, hosts[0].TLSConfig, hosts[1:]
}

// nobodyAnswers reports whether an error says that the only host is silent, and nobody has asked it for this: there is nothing to
// wait for.
func (db *DB) nobodyAnswers(err error) bool {
	return errors.As(err, new(*pgconn.ConnectError)) && errors.Is(err, errSilent) && len(hosts(db.config.ConnConfig)) == 1
}

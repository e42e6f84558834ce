package main

import (
	"net/netip"
	"testing"
)

// TestListen: who names an address listens on that one, and not on those of another kind besides.
func TestListen(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:0": "127.0.0.1",
		"0.0.0.0:0":   "0.0.0.0",
		"localhost:0": "127.0.0.1",
		"[::]:0":      "::",
		":0":          "::", // everything that there is
	} {
		listener, err := listen(t.Context(), address)
		check(t, err)
		if got := netip.MustParseAddrPort(listener.Addr().String()).Addr().String(); got != want {
			t.Errorf("%s: listens on %s, want %s", address, got, want)
		}
		check(t, listener.Close())
	}
}

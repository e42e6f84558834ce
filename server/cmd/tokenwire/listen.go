package main

import (
	"context"
	"net"
	"net/netip"
)

// listen listens on an address. 0.0.0.0 means every address of IPv4, and none of IPv6, as whoever writes it expects; Go by itself
// listens on both.
func listen(ctx context.Context, address string) (net.Listener, error) {
	network := "tcp"
	if host, _, err := net.SplitHostPort(address); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
			network = "tcp4"
		}
	}
	return (&net.ListenConfig{}).Listen(ctx, network, address)
}

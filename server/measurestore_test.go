package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// TestMetricsOfABrokenStore: it shows, and is not taken for an overload.
func TestMetricsOfABrokenStore(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, servertest.Options{WrapStore: broken})
	before := m.scrape(t)
	for id, status := range map[string]int{unavailableStore: 503, breaksStore: 500, panicsStore: 500} {
		m.do(t, jsonCall("PATCH", tokenPath(m.ProjectID, id), `{"name":"x"}`).as(m.Project)).want(t, status)
	}
	m.want(t, before, map[string]float64{
		"tokenwire_store_unavailable_total{}":                              1,
		"tokenwire_http_requests_shed_total{}":                             0,
		"tokenwire_http_requests_total{operation=update_token,status=503}": 1,
		"tokenwire_http_requests_total{operation=update_token,status=500}": 2,
	})
	hangs := startMeasured(t, servertest.Options{WrapStore: broken, RequestTimeout: 50 * time.Millisecond})
	before = hangs.scrape(t)
	hangs.do(t, jsonCall("PATCH", tokenPath(hangs.ProjectID, hangsStore), `{"name":"x"}`).as(hangs.Project)).want(t, 503)
	hangs.want(t, before, map[string]float64{"tokenwire_store_unavailable_total{}": 1, "tokenwire_http_requests_shed_total{}": 0})
}

// silentStore does not answer when it is asked whether it is there.
type silentStore struct{ store.Store }

func (silentStore) Ping(context.Context) error { return store.ErrUnavailable }

// TestMetricsOfASilentStore: the figures say so.
func TestMetricsOfASilentStore(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, servertest.Options{WrapStore: func(s store.Store) store.Store { return silentStore{s} }})
	if up := m.scrape(t)["tokenwire_store_up{}"]; up != 0 {
		t.Errorf("store_up is %v", up)
	}
}

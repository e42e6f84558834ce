//go:build unix

package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// testCutOff takes the database away from one of two servers. Both ways a network fails are tried: connections break, or nothing comes.
func testCutOff(t *testing.T, program string) {
	t.Helper()
	cluster := postgrestest.Start(t, nil)
	for _, way := range []struct {
		name string
		do   func(*wire)
	}{{"connections break", (*wire).sever}, {"nothing comes", (*wire).swallow}} {
		t.Run(way.name, func(t *testing.T) {
			dsn := cluster.NewDatabase(t)
			wire := newWire(t, dsn, false)
			on := site{program: program, dir: t.TempDir(), url: dsn}
			near := on.start(t)
			on.url = wire.url
			cutOff(t, near, on.start(t, "--request-timeout", "2s"), wire, way.do)
		})
	}
}

// cutOff uses a token without permissions for what is asked: to be told so it must be accepted, and nothing else is read.
func cutOff(t *testing.T, near, far *child, wire *wire, cut func(*wire)) {
	t.Helper()
	admin, keeper := near.as(t, adminSecret), anchor(t, near)
	create := func() *client.Token {
		token, err := admin.CreateToken(t.Context(), client.CreateTokenParams{Name: "Fax", Permissions: []client.Permission{client.PermissionFax}})
		must(t, err)
		return token
	}
	stays, goes := create(), create()
	for _, token := range []*client.Token{stays, goes} {
		if u := try(t, far, keeper, token.Secret.Reveal()); u.result != works {
			t.Fatalf("a token %s", u.result)
		}
	}
	cut(wire)
	since := time.Now()
	must(t, admin.DeleteToken(t.Context(), goes.ID))
	latest := time.Duration(0)
	for refusals := 0; refusals < 3; <-time.After(hammered) {
		for _, token := range []*client.Token{stays, goes} {
			u, err := far.try(t.Context(), far.as(t, token.Secret.Reveal()), keeper)
			after := u.began.Sub(since)
			switch {
			case err == nil && u.result == works && after <= obeyed:
				latest = max(latest, after)
			case err == nil:
				t.Fatalf("a token %s %v after the server lost its database", u.result, after)
			case !errors.Is(err, client.ErrUnavailable):
				t.Fatal(err)
			case after > obeyed:
				refusals++
			}
		}
	}
	_, err := far.as(t, adminSecret).CreateToken(t.Context(), client.CreateTokenParams{Name: "No", Permissions: []client.Permission{client.PermissionFax}})
	if !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("a creation without a database: %v", err)
	}
	wire.mend()
	mended := time.Now()
	until(t, mended.Add(backToWork), "the server works again", func() bool {
		u, err := far.try(context.WithoutCancel(t.Context()), far.as(t, stays.Secret.Reveal()), keeper)
		return err == nil && u.result == works
	})
	back := time.Since(mended)
	if u := try(t, far, keeper, goes.Secret.Reveal()); u.result != refused {
		t.Errorf("a token that was deleted meanwhile %s", u.result)
	}
	_, err = far.as(t, adminSecret).CreateToken(t.Context(), client.CreateTokenParams{Name: "Yes", Permissions: []client.Permission{client.PermissionFax}})
	must(t, err)
	count, improper := far.answers.refusals()
	report(t, append(improper, panics(far)...))
	var text strings.Builder
	for _, line := range []struct {
		name  string
		value any
	}{
		{"remembered credentials accepted for", rounded(latest)},
		{"answers 503, as documented", count},
		{"works again after", rounded(back)},
	} {
		fmt.Fprintf(&text, "\n  %-36s%12v", line.name, line.value)
	}
	t.Log(text.String())
}

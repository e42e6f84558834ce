package contract_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// recordingOf runs the suite and returns what was said.
func recordingOf(t *testing.T, config contract.Config) contract.Recording {
	t.Helper()
	report, err := contract.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return report.Recording()
}

// TestRecording: a recording has no secret, and is read as it was written. That runs are alike is in TestUnbrokenServer.
func TestRecording(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	config := configOf(s)
	config.Only, config.Record = []string{"auth", "accounts", "ext.rotate", "ext.audit", "ext.pages"}, true
	first := recordingOf(t, config)
	var file bytes.Buffer
	if err := first.Write(&file); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{s.Token, s.ProjectID, s.URL} {
		if strings.Contains(file.String(), secret) {
			t.Errorf("the recording has %s", secret)
		}
	}
	read, err := contract.ReadRecording(&file)
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(first, read, cmp.Transformer("plain", plain)); difference != "" || len(first.Cases) < 10 {
		t.Errorf("%d cases were not read as they were written: %s", len(first.Cases), difference)
	}
	for _, text := range []string{"", "{}", "[]", `{"version":99}`} {
		if _, err := contract.ReadRecording(strings.NewReader(text)); err == nil {
			t.Errorf("%q is read as a recording", text)
		}
	}
}

// plain is an exchange as a reader of JSON sees it: lists and objects in a body have no other types then.
func plain(exchange contract.RecordedExchange) string {
	text, err := json.Marshal(exchange)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// TestCompareCounts: what only one recording has is not passed over in silence.
func TestCompareCounts(t *testing.T) {
	t.Parallel()
	recording := func(ids ...string) contract.Recording {
		var r contract.Recording
		for _, id := range ids {
			r.Cases = append(r.Cases, contract.RecordedCase{ID: id})
		}
		return r
	}
	for _, c := range []struct {
		recorded, current    contract.Recording
		compared, unrecorded int
	}{
		{recording(), recording(), 0, 0}, {recording(), recording("a", "b"), 0, 2}, {recording("a"), recording("a", "b", "c"), 1, 2}, {recording("a", "b"), recording("b"), 1, 0},
	} {
		if got := contract.Compare(c.recorded, c.current); got.Compared != c.compared || got.Unrecorded != c.unrecorded || len(got.Differences) > 0 {
			t.Errorf("%v and %v: %+v", c.recorded, c.current, got)
		}
	}
}

// TestDrift: what another server says differently is reported, by case, request and place.
func TestDrift(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	config := configOf(s)
	config.Only, config.Record = []string{"compat.update.unknown-token", "compat.auth.missing"}, true
	before := recordingOf(t, config)
	for _, c := range []struct {
		broken breaker
		want   []string
	}{
		{set(on("PATCH", tokenPath), 404, "message", "Gone"), []string{"compat.update.unknown-token 1 body.message", "compat.update.unknown-token 2 body.message"}},
		{drop(on("PATCH", tokenPath), 404, "more_info"), []string{"compat.update.unknown-token 1 body.more_info", "compat.update.unknown-token 2 the request"}},
		{status(on("DELETE", tokenPath), 401, 403), []string{"compat.auth.missing 4 status", "compat.auth.missing 4 body.status", "compat.auth.missing 5 the request"}},
		{answers(on("DELETE", tokenPath), func(_ *http.Request, a *recorded) { a.header.Set("WWW-Authenticate", `Basic realm="x"`) }), []string{"compat.auth.missing 4 header Www-Authenticate"}},
	} {
		server := httptest.NewServer(c.broken(s.Handler(), s.Project))
		defer server.Close()
		config.BaseURL = server.URL
		var got []string
		for _, d := range contract.Compare(before, recordingOf(t, config)).Differences {
			got = append(got, d.Case+" "+string(rune('0'+d.Exchange))+" "+d.What)
			if d.Recorded == d.Current || d.Request == "" {
				t.Errorf("the difference is %+v", d)
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("the differences are %v, want %v", got, c.want)
		}
	}
}

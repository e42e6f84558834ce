package guard_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/server/guard"
)

// FuzzFind: what is let through is a path that every reader understands in the same way.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"/api/x", "/api/%2e%2e/x", "/api//x", account + "/Calls.json", "/api/a%2Bb?c", "/api/../x/", "/api/%2f/", "/api/x//", "/api/x/./", "/api/x/"} {
		f.Add(seed)
	}
	rules, err := guard.Parse([]byte(`rules: [{path: /api/admin/**, permission: management}, {path: "/**", permission: fax}]`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		need, err := rules.Find("GET", uri)
		if err != nil {
			return
		}
		path, _, _ := strings.Cut(uri, "?")
		lower := strings.ToLower(path)
		for _, bad := range []string{"//", "%2f", "%5c", "%25", "%00", "\\", ";", "#"} {
			if strings.Contains(lower, bad) {
				t.Errorf("%q was let through", uri)
			}
		}
		for segment := range strings.SplitSeq(lower, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("%q was let through", uri)
			}
		}
		if strings.HasPrefix(lower, "/api/admin/") && !slices.Contains(need.AnyOf, "management") {
			t.Errorf("%q needs only %v", uri, need.AnyOf)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	rules, err := guard.SignalWire()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rules.Find("GET", "/api/relay/rest/verified_caller_ids/x"); err != nil {
			b.Fatal(err)
		}
	}
}

// TestFindAllocates: nothing is allocated for a plain path.
func TestFindAllocates(t *testing.T) { //nolint:paralleltest // testing.AllocsPerRun counts what all goroutines allocate
	rules := signalWire(t)
	if got := testing.AllocsPerRun(100, func() { _, _ = rules.Find("POST", account+"/Messages.json") }); got > 0 {
		t.Errorf("%.0f allocations", got)
	}
}

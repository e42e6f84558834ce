package contract_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// TestProjectIDLikeItsToken: a Project ID that has the digits of the token, as people choose them for tests, is no secret.
func TestProjectIDLikeItsToken(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	const project = "22222222-2222-4222-8222-222222222222"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.SetBasicAuth(s.ProjectID, s.Token)
		w.Header().Set("X-Request-Id", strings.Repeat("2", 20))
		s.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()
	report, err := contract.Run(t.Context(), contract.Config{
		BaseURL: server.URL, ProjectID: project, Token: "PT" + strings.Repeat("2", 48), Only: []string{"accounts.get.own"},
	})
	if err != nil || len(report.Failed()) != 1 {
		t.Fatalf("%v, %v", report.Failed(), err)
	}
	text := report.Failed()[0].Failure.String()
	if !strings.Contains(text, "/Accounts/"+project) || strings.Contains(strings.ReplaceAll(text, project, ""), strings.Repeat("2", 12)) {
		t.Errorf("the failure is %s", text)
	}
}

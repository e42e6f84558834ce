package contract_test

import (
	"testing"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// configOf is how a run reaches a server of a test.
func configOf(s *servertest.Server) contract.Config {
	return contract.Config{BaseURL: s.URL, ProjectID: s.ProjectID, Token: s.Token, Extensions: true}
}

// TestUnbrokenServer runs every case five times in a row against one server, over SQLite.
func TestUnbrokenServer(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, nil)
	for i := range 5 {
		report, err := contract.Run(t.Context(), configOf(s))
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range report.Failed() {
			t.Errorf("run %d: %s: %s\n%s", i, result.ID, result.Statement, result.Failure)
		}
		if len(report.Results) != len(contract.Cases()) || len(report.Leftovers) > 0 {
			t.Errorf("run %d: %d of %d cases, left over: %v", i, len(report.Results), len(contract.Cases()), report.Leftovers)
		}
	}
}

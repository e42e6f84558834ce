//go:build unix

package contract_test

import (
	"testing"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// TestPostgres runs every case against a server over PostgreSQL, twice: the second run finds what the first has left.
func TestPostgres(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgrestest.Start(t, nil).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	s := servertest.New(t, &servertest.Options{Store: db})
	for range 2 {
		report, err := contract.Run(t.Context(), configOf(s))
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range report.Failed() {
			t.Errorf("%s: %s\n%s", result.ID, result.Statement, result.Failure)
		}
		if len(report.Results) != len(contract.Cases()) || len(report.Leftovers) > 0 {
			t.Errorf("%d of %d cases, left over: %v", len(report.Results), len(contract.Cases()), report.Leftovers)
		}
	}
}

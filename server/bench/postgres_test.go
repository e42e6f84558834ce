package main

import (
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// The cluster of the rows must wait for its disk, and hold what the product would have made.
func TestPostgresField(t *testing.T) {
	t.Parallel()
	if err := postgresIsHere(); err != nil {
		t.Skip(err)
	}
	const tokens = 20
	f := &postgresField{}
	defer func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := f.prepare(t.Context(), t.TempDir(), tokens); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		postgrestest.Exec(t, f.db.path, `DO $$ BEGIN ASSERT current_setting('`+setting+`') = 'on'; END $$`)
	}
	examined, err := postgres.Examine(t.Context(), f.db.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = examined.Close() }()
	if problems, err := examined.Invariants(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("doctor would find %v (%v)", problems, err)
	}
	if counts, err := examined.Counts(t.Context()); err != nil || counts.Tokens != tokens+1 || counts.Events != tokens+2 {
		t.Errorf("there are %+v (%v), want %d tokens and %d events", counts, err, tokens+1, tokens+2)
	}
	if err := f.writeScript(); err != nil {
		t.Fatal(err)
	}
	before, err := f.processorTime()
	if err != nil {
		t.Fatal(err)
	}
	contender := contender{name: pgUpdates, measure: f.pgbench}
	got, err := contender.turn(t.Context(), slot{connections: 2, measured: 100 * time.Millisecond})
	if err != nil || got.rate <= 0 || got.answers <= 0 {
		t.Fatalf("pgbench has measured %+v (%v)", got, err)
	}
	postgrestest.Exec(t, f.db.path, `DO $$ BEGIN ASSERT (SELECT max(updated_at - created_at) FROM bench.tokens) > 0; END $$`)
	if after, err := f.processorTime(); err != nil || after <= before {
		t.Errorf("the clients of pgbench, which have gone, have cost %v (%v)", after-before, err)
	}
}

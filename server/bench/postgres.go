package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/sync/errgroup"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// pgReplicas is how many servers share the database in the last row.
const pgReplicas = 3

// onPostgres begins the names of the rows.
const onPostgres = "PATCH on PostgreSQL"

// postgresField is a PostgreSQL server on the disk of the other databases, which waits for that disk at each commit, and replicas of
// tokenwire that use it.
type postgresField struct {
	cluster  *postgrestest.Cluster
	db       *database
	script   string // of pgbench
	replicas []*server
}

// newPostgresField starts everything. The caller closes the field, also when it is not whole.
func newPostgresField(ctx context.Context, binary, directory string, tokens int) (*postgresField, error) {
	f := &postgresField{}
	err := f.prepare(ctx, directory, tokens)
	if err != nil {
		return f, err
	}
	if err := f.writeScript(); err != nil {
		return f, err
	}
	for range pgReplicas {
		started, err := startTokenwire(ctx, binary, f.db)
		if err != nil {
			return f, err
		}
		f.replicas = append(f.replicas, started)
		if _, err := started.await(ctx, "/readyz", "", "", http.StatusOK); err != nil {
			return f, err
		}
	}
	return f, nil
}

// prepare starts PostgreSQL and fills its database.
func (f *postgresField) prepare(ctx context.Context, directory string, tokens int) error {
	folder, err := folderForPostgres(directory)
	if err != nil {
		return err
	}
	f.cluster, err = postgrestest.New(ctx, postgrestest.Options{
		Folder: folder, Settings: map[string]string{"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
	})
	if err != nil {
		return err
	}
	f.db = &database{path: f.cluster.DSN("postgres"), keysetFile: filepath.Join(directory, "postgres.keyset"), fax: secret.New()}
	if err := f.fill(ctx, tokens); err != nil {
		return fmt.Errorf("fill PostgreSQL: %w", err)
	}
	return nil
}

// folderForPostgres returns where PostgreSQL keeps its files: with the other databases, or among those of everybody when it runs as
// another user, who cannot get there.
func folderForPostgres(directory string) (string, error) {
	directory, err := filepath.Abs(directory)
	if err != nil || os.Geteuid() != 0 {
		return directory, err
	}
	if err := os.Chmod(directory, 0o711); err != nil { //nolint:gosec // it must reach its own folder in it
		return "", err
	}
	for above := directory; above != filepath.Dir(above); above = filepath.Dir(above) {
		info, err := os.Stat(above)
		if err != nil {
			return "", err
		}
		if info.Mode().Perm()&0o001 == 0 {
			fmt.Fprintf(os.Stderr, "PostgreSQL keeps its files in %s, because it may not run as root, and nobody else may enter %s\n", os.TempDir(), above)
			return os.TempDir(), nil
		}
	}
	return directory, nil
}

func (f *postgresField) close() error {
	var err error
	for _, replica := range f.replicas {
		err = errors.Join(err, replica.stop())
	}
	if f.cluster != nil {
		err = errors.Join(err, f.cluster.Remove())
	}
	return err
}

// fill lets the product make its schema, its project and its first token. The others, and the rows of pgbench, come through SQL.
func (f *postgresField) fill(ctx context.Context, tokens int) error {
	opened, err := postgres.Open(ctx, f.db.path)
	if err != nil {
		return err
	}
	if err := errors.Join(f.db.bootstrapIn(ctx, opened), opened.Close()); err != nil {
		return err
	}
	connection, err := pgx.Connect(ctx, f.db.path)
	if err != nil {
		return err
	}
	err = f.copyTokens(ctx, connection, tokens)
	// What pgbench updates has the columns of a token, and a number to choose it by.
	for _, statement := range []string{
		`CREATE SCHEMA bench`,
		`CREATE TABLE bench.tokens WITH (fillfactor = 80) AS SELECT row_number() OVER (ORDER BY id) AS n, tokens.* FROM tokens`,
		`ALTER TABLE bench.tokens ADD PRIMARY KEY (n)`,
		`VACUUM ANALYZE`, // as the server does by itself after a while
	} {
		if err == nil {
			_, err = connection.Exec(ctx, statement)
		}
	}
	return errors.Join(err, connection.Close(ctx))
}

// copyTokens writes tokens, and then the event of each.
func (f *postgresField) copyTokens(ctx context.Context, connection *pgx.Conn, tokens int) error {
	rows := make([]tokenRow, tokens)
	for i := range rows {
		plain := secret.New()
		if i == 0 {
			plain = f.db.fax
		}
		var err error
		if rows[i], err = f.db.newRow(plain); err != nil {
			return err
		}
		f.db.tokens = append(f.db.tokens, rows[i].id)
	}
	changes, err := creation()
	if err != nil {
		return err
	}
	now, project := time.Now().UnixMicro(), f.db.project
	columns := []string{"id", "secret_hash", "sealed_secret", "project_id", "root_id", "name", "permissions", "created_at", "updated_at"}
	_, err = connection.CopyFrom(ctx, pgx.Identifier{"tokens"}, columns, pgx.CopyFromSlice(tokens, func(i int) ([]any, error) {
		return []any{rows[i].id, rows[i].hash[:], rows[i].sealed, project, project, filledName, filledPermission, now, now}, nil
	}))
	if err != nil {
		return err
	}
	columns = []string{
		"id", "at", "action", "root_id", "project_id", "token_id", "actor_project_id", "actor_token_id", "address", "request_id", "changes",
	}
	_, err = connection.CopyFrom(ctx, pgx.Identifier{"audit_events"}, columns, pgx.CopyFromSlice(tokens, func(i int) ([]any, error) {
		return []any{
			rows[i].event, now, string(store.TokenCreated), project, project, rows[i].id, project, f.db.actor, filledFrom,
			rows[i].event.String(), changes,
		}, nil
	}))
	return err
}

// writeScript writes what each client of pgbench does again and again: a name and a time of one row, as tokenwire's update changes
// them, and no event besides.
func (f *postgresField) writeScript() error {
	f.script = filepath.Join(f.cluster.Dir, "update.sql")
	text := fmt.Sprintf("\\set n random(1, %d)\nUPDATE bench.tokens SET name = 'Bench ' || :n, updated_at = updated_at + 1 WHERE n = :n;\n", len(f.db.tokens))
	return os.WriteFile(f.script, []byte(text), 0o644) //nolint:gosec // the server runs as another user
}

// pgbenchSays finds how many transactions there were, and how many in a second.
func pgbenchSays() *regexp.Regexp {
	return regexp.MustCompile(`(?s)\nnumber of transactions actually processed: ([0-9]+).*\ntps = ([0-9.]+) \(without initial connection time\)`)
}

// pgbenchConnects is how long pgbench's clients may take to connect, which they do on its time.
const pgbenchConnects = 700 * time.Millisecond

// pgbench measures with as many clients as the slot has connections, over the fastest of pgbench's protocols. It counts in seconds.
func (f *postgresField) pgbench(ctx context.Context, s slot) (result, error) {
	seconds := int(math.Ceil((s.measured + pgbenchConnects).Seconds()))
	output, err := f.cluster.Output(ctx, "pgbench", "--no-vacuum", "--protocol=prepared", "--file="+f.script,
		"--client="+strconv.Itoa(s.connections), "--jobs=2", "--time="+strconv.Itoa(seconds), f.db.path)
	if err != nil {
		return result{}, err
	}
	found := pgbenchSays().FindStringSubmatch(string(output))
	if found == nil { // it says no rate of nothing
		return result{}, fmt.Errorf("%w to pgbench within %d s:\n%s", errNoAnswer, seconds, output)
	}
	answers, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		return result{}, err
	}
	rate, err := strconv.ParseFloat(found[2], 64)
	return result{rate: rate, answers: answers, latencies: newLatencies()}, err
}

// processorTime is what the processors have spent on the server and on the connections that it has, and has had. Who goes while they are
// counted is counted again, among those that have gone.
func (f *postgresField) processorTime() (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(f.cluster.Dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	id, err := strconv.ParseInt(first, 10, 32)
	if err != nil {
		return 0, err
	}
	postmaster, err := process.NewProcess(int32(id))
	if err != nil {
		return 0, err
	}
	const attempts = 10
	sum, err := timeOfFamily(postmaster)
	for n := 1; n < attempts && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)); n++ {
		sum, err = timeOfFamily(postmaster)
	}
	return sum, err
}

// over spreads connections evenly over targets.
func over(targets ...*target) func(context.Context, slot) (result, error) {
	return func(ctx context.Context, s slot) (result, error) {
		results := make([]result, len(targets))
		group, ctx := errgroup.WithContext(ctx)
		for i, t := range targets {
			share := s
			share.connections = (s.connections + i) / len(targets)
			group.Go(func() error {
				var err error
				results[i], err = t.measure(ctx, share)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return result{}, err
		}
		sum := result{latencies: together(results)}
		for _, r := range results {
			sum.rate += r.rate
			sum.answers += r.answers
		}
		return sum, nil
	}
}

// rows are an update over one replica beside pgbench, and over several beside one.
func (f *postgresField) rows() []row {
	all := make([]*target, len(f.replicas))
	for i, replica := range f.replicas {
		all[i] = newCalls(f.db).update(replica.address)
	}
	one := newCalls(f.db).update(f.replicas[0].address)
	var rows []row
	for _, connections := range []int{rowConnections / 2, rowConnections} {
		rows = append(rows, row{
			what: fmt.Sprintf("%s over %d connections", onPostgres, connections), connections: connections,
			contenders: []contender{{name: ours, measure: one.measure}, {name: pgUpdates, measure: f.pgbench}},
			atLeast:    map[string]float64{pgUpdates: pgAtLeast},
		})
	}
	return append(rows, row{
		what: fmt.Sprintf("%s, %d replicas", onPostgres, pgReplicas), connections: rowConnections,
		contenders: []contender{{name: ours, measure: over(all...)}, {name: oneReplica, measure: one.measure}},
	})
}

// runPostgres measures the rows of PostgreSQL. Without PostgreSQL there is one line that says so.
func runPostgres(ctx context.Context, p plan, binary, directory string) (_ []line, err error) {
	if err := postgresIsHere(); err != nil {
		fmt.Fprintln(os.Stderr, "LEFT OUT: the rows over PostgreSQL:", err)
		return []line{{what: onPostgres, measured: notHere}}, nil
	}
	f, err := newPostgresField(ctx, binary, directory, p.tokens)
	defer func() { err = errors.Join(err, f.close()) }()
	if err != nil {
		return nil, err
	}
	runner := &field{plan: p}
	var lines []line
	for _, r := range f.rows() {
		l, results, err := runner.run(ctx, r)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
		if theirs, measured := results[pgUpdates]; measured {
			lines = append(lines, line{
				what: fmt.Sprintf("single-row UPDATE, pgbench, %d clients", r.connections), measured: perSecond(theirs) + " transactions/s",
			})
		}
	}
	return lines, nil
}

// postgresIsHere looks for the server's programs, and for pgbench beside them.
func postgresIsHere() error {
	folder, err := postgrestest.Binaries()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "pgbench")); err != nil {
		return fmt.Errorf("there is no pgbench: %w", err)
	}
	return nil
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
	"github.com/tokenwire/tokenwire/server/store/transfer"
)

type copyCmd struct {
	From   string `required:"" placeholder:"FILE" help:"SQLite database to copy. Stop its server first: what changes after the start is not copied."`
	To     string `required:"" placeholder:"URL" help:"PostgreSQL database to copy to, postgres://USER@HOST:PORT/DATABASE. It must be empty, or what an interrupted copy has left. A password is safer in the environment than on the command line."`
	Keyset string `placeholder:"FILE" help:"Keyset of the SQLite database, which the new servers need as well. (default: the name of the SQLite database with .keyset)"`
}

// Help says what is copied, and what becomes of the rest.
func (copyCmd) Help() string {
	return `Projects, tokens with their secrets, retired secrets, answers for idempotency keys that have not expired, and the audit trail
are copied as they were at the start. The keyset is not: it stays the file that it is, and the new servers get it with --keyset. The
source is not changed.

Whatever has interrupted a copy, run it again: it goes on where it was. Until both sides have been counted and compared by checksums
no server starts on the copy. Exit code 0 says that they are the same.`
}

var errDiffers = errors.New("the copy is not the same as the source, and no server starts on it; see FAILED above. If the source has changed since the copy began, stop its server and copy to an empty database")

// Run copies a database.
func (cmd copyCmd) Run(ctx context.Context, std streams) error {
	from := databaseFlags{DB: cmd.From, Keyset: cmd.Keyset}
	if err := cmp.Or(postgres.Check("--from", cmd.From), postgres.Check("--to", cmd.To)); err != nil {
		return err
	}
	switch {
	case postgres.IsDSN(cmd.From):
		return errors.New("--from is a PostgreSQL database: copy takes a file of SQLite; pg_dump copies PostgreSQL")
	case !postgres.IsDSN(cmd.To):
		return errors.New("--to is no postgres:// URL: copy goes to PostgreSQL; backup copies a file of SQLite to another")
	}
	if err := fileMustExist("database", cmd.From, "name it with --from"); err != nil {
		return err
	}
	if err := checkKeyset(ctx, cmd.From, from.keysetFile()); err != nil {
		return orAnother(err, "path with --from")
	}
	source, err := sqlite.OpenExport(ctx, cmd.From)
	if err != nil {
		return orAnother(err, "path with --from")
	}
	began := time.Now()
	target, err := postgres.OpenImport(ctx, "--to", cmd.To)
	if err != nil {
		return errors.Join(err, source.Close())
	}
	found, err := cmd.copy(ctx, std, source, target, began)
	if err := errors.Join(err, target.Close(), source.Close()); err != nil {
		return err
	}
	return cmd.report(std, found, began, from.keysetFile())
}

// copy copies and compares.
func (cmd copyCmd) copy(ctx context.Context, std streams, source sqlite.Export, target *postgres.Import, now time.Time) ([]transfer.Comparison, error) {
	bar := newProgress(std.err, "copying").orLines(std.out)
	rows, err := transfer.Copy(ctx, source, target, now, bar.set)
	if err := errors.Join(err, bar.close()); err != nil {
		return nil, err
	}
	took := time.Since(now)
	if _, err := fmt.Fprintf(std.out, "copied %d rows in %s, %.0f a second\n",
		rows, took.Round(time.Millisecond), float64(rows)/took.Seconds()); err != nil {
		return nil, err
	}
	bar = newProgress(std.err, "verifying").orLines(std.out)
	found, err := transfer.Verify(ctx, source, target, now, bar.set)
	return found, errors.Join(err, bar.close())
}

// report prints what both sides have, and what comes next.
func (cmd copyCmd) report(std streams, found []transfer.Comparison, began time.Time, keyset string) error {
	same := true
	rows := make([][]string, 0, len(found))
	for _, c := range found {
		verdict, detail := "ok", fmt.Sprintf("rows: %d, SHA-256: %x", c.To.Rows, c.To.SHA256)
		if !c.Same() {
			same, verdict = false, "FAILED"
			detail = fmt.Sprintf("source: %d rows, SHA-256 %x; copy: %d rows, SHA-256 %x", c.From.Rows, c.From.SHA256, c.To.Rows, c.To.SHA256)
		}
		rows = append(rows, []string{verdict, c.Part, detail})
	}
	if err := writeTable(std.out, []string{"RESULT", "CHECK", "DETAIL"}, rows); err != nil {
		return err
	}
	if !same {
		return errDiffers
	}
	_, err := fmt.Fprintf(std.out, `%s is a copy of %s as it was at %s. Later changes are not in it.
Serve it with --keyset %s, or a copy of that file.
`, postgres.Name(cmd.To), absolute(cmd.From), began.UTC().Format(time.RFC3339), absolute(keyset))
	return err
}

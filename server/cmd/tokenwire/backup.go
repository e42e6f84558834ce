package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

type backupCmd struct {
	File string `arg:"" name:"FILE" help:"File to write. It must not exist."`
	DB   string `name:"db" default:"tokenwire.db" placeholder:"FILE" help:"SQLite database. A server may be using it. (default: ${default})"`
}

// Help says what is not in a backup.
func (backupCmd) Help() string {
	return `The backup is the database as it was at one moment; the server goes on meanwhile. The keyset is not in it: the secrets
in it cannot be used without. Keep a copy of the keyset somewhere else. A backup that is killed leaves its half beside <FILE>, under the name <FILE>.UUID.`
}

// Run copies the database.
func (cmd backupCmd) Run(ctx context.Context, std streams) error {
	database := databaseFlags{DB: cmd.DB}
	if err := cmp.Or(postgres.Check("<FILE>", cmd.File), database.mustBeFile("backup", "pg_dump, or its continuous archiving"), database.mustExist()); err != nil {
		return err
	}
	if err := copyDatabase(ctx, std, "backup", namedFile{cmd.DB, "path with --db"}, namedFile{cmd.File, "<FILE>"}); err != nil {
		return err
	}
	return describeDatabase(context.WithoutCancel(ctx), std.out, cmd.File)
}

type restoreCmd struct {
	File string `arg:"" name:"FILE" help:"Backup to restore."`
	databaseFlags
}

// Help says what has to be there.
func (restoreCmd) Help() string {
	return `There must be no database at --db: move what is there away first, together with its -wal and -shm files. The keyset must be the
one with which the backup was made.`
}

// Run copies a backup to where the server looks for its database.
func (cmd restoreCmd) Run(ctx context.Context, std streams) error {
	if err := cmp.Or(postgres.Check("<FILE>", cmd.File), cmd.mustBeFile("restore", "pg_restore on what pg_dump has written")); err != nil {
		return err
	}
	if err := fileMustExist("backup", cmd.File, "name one as <FILE>"); err != nil {
		return err
	}
	if err := checkKeyset(ctx, cmd.File, cmd.keysetFile()); err != nil {
		return orAnother(err, "<FILE>")
	}
	if err := copyDatabase(ctx, std, "restore", namedFile{cmd.File, "<FILE>"}, namedFile{cmd.DB, "path with --db"}); err != nil {
		return err
	}
	return describeDatabase(context.WithoutCancel(ctx), std.out, cmd.DB)
}

// checkKeyset refuses a keyset with which the database cannot be used.
func checkKeyset(ctx context.Context, database, keyset string) error {
	e, err := sqlite.Examine(ctx, database)
	if err != nil {
		return err
	}
	check, err := e.KeysetCheck(ctx)
	if err := errors.Join(err, e.Close()); err != nil {
		return err
	}
	loaded, err := secret.LoadKeyset(keyset)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no keyset %s: put the one of this database there, or name it with --keyset", keyset)
	}
	if err != nil {
		return err
	}
	return mustFit(loaded, keyset, check)
}

// mustFit refuses a keyset that has not made this check value.
func mustFit(keyset *secret.Keyset, path string, check []byte) error {
	if !keyset.Fits(check) {
		return fmt.Errorf("%s is not the keyset of this database; restore the right one or name it with --keyset", path)
	}
	return nil
}

// namedFile is a file, and how another would be named in its place (orAnother).
type namedFile struct{ path, another string }

func copyDatabase(ctx context.Context, std streams, doing string, from, to namedFile) error {
	bar := newProgress(std.err, doing)
	err := sqlite.Copy(ctx, from.path, to.path, bar.set)
	another := from.another
	if wrong, ok := errors.AsType[*sqlite.FileError](err); ok && wrong.Path == absolute(to.path) {
		another = to.another
	}
	return errors.Join(orAnother(err, another), bar.close())
}

// describeDatabase prints what a database file has in it.
func describeDatabase(ctx context.Context, out io.Writer, path string) error {
	e, err := sqlite.Examine(ctx, path)
	if err != nil {
		return err
	}
	counts, err := e.Counts(ctx)
	if err := errors.Join(err, e.Close()); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeTable(out, []string{"FILE", "BYTES", "PROJECTS", "TOKENS", "EVENTS"}, [][]string{{
		path, number(info.Size()), number(counts.Projects), number(counts.Tokens), number(counts.Events),
	}})
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// progress shows on a terminal how far long work is, and elsewhere nothing, or lines.
type progress struct {
	bar      *progressbar.ProgressBar
	doing    string
	terminal bool
	lines    io.Writer
	printed  int // tenths of the work
}

func newProgress(out io.Writer, doing string) *progress {
	file, isFile := out.(*os.File)
	terminal := false
	if isFile {
		terminal = term.IsTerminal(int(file.Fd()))
	}
	return &progress{doing: doing, terminal: terminal, bar: progressbar.NewOptions(-1,
		progressbar.OptionSetWriter(out), progressbar.OptionSetVisibility(terminal), progressbar.OptionSetDescription(doing),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
	)}
}

// orLines prints a line for each tenth of the work where there is no terminal.
func (p *progress) orLines(out io.Writer) *progress {
	if !p.terminal {
		p.lines = out
	}
	return p
}

// set says that so much of the whole is done.
func (p *progress) set(done, total int) {
	if tenth := 10 * done / max(total, 1); p.lines != nil && tenth > p.printed {
		p.printed = tenth
		_, _ = fmt.Fprintf(p.lines, "%s: %d of %d\n", p.doing, done, total)
	}
	if p.bar.GetMax() != total {
		p.bar.ChangeMax(total)
	}
	_ = p.bar.Set(done) // it is for the eye only
}

func (p *progress) close() error { return p.bar.Finish() }

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tokenwire/tokenwire/server/rekey"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/postgres"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

type doctorCmd struct {
	databaseFlags
	JSON bool `name:"json" help:"Print JSON."`
}

// Help says what is looked at.
func (doctorCmd) Help() string {
	return `It looks at the files and at every row, and changes nothing; a server may be using the database. Exit code 0 says that all
is well, 1 that something is not, or that a first start has not come to its end.`
}

// finding is the result of one check.
type finding struct {
	Check      string `json:"check"`
	OK         bool   `json:"ok"`
	Unfinished bool   `json:"unfinished,omitempty"` // nothing is wrong; it is only not there yet
	Detail     string `json:"detail"`
}

var (
	errUnsound    = errors.New("the database or its keyset is not sound; see FAILED above")
	errUnfinished = errors.New("there is nothing in the database yet; tokenwire serve completes it")
)

// Run prints what it finds.
func (cmd doctorCmd) Run(ctx context.Context, std streams) error {
	if err := cmd.mustExist(); err != nil {
		return err
	}
	findings, err := cmd.examine(ctx, std)
	if err != nil {
		return err
	}
	if err := cmd.print(std, findings); err != nil {
		return err
	}
	return conclude(findings)
}

// conclude takes the first that is not good. A database that has nothing in it yet is found alone.
func conclude(findings []finding) error {
	for _, f := range findings {
		switch {
		case f.Unfinished:
			return errUnfinished
		case !f.OK:
			return errUnsound
		}
	}
	return nil
}

func (cmd doctorCmd) print(std streams, findings []finding) error {
	if cmd.JSON {
		return writeJSON(std.out, findings)
	}
	rows := make([][]string, 0, len(findings))
	for _, f := range findings {
		verdict := "ok"
		switch {
		case f.Unfinished:
			verdict = "UNFINISHED"
		case !f.OK:
			verdict = "FAILED"
		}
		rows = append(rows, []string{verdict, f.Check, f.Detail})
	}
	return writeTable(std.out, []string{"RESULT", "CHECK", "DETAIL"}, rows)
}

// examine makes the checks, as far as those before have left something to look at.
func (cmd doctorCmd) examine(ctx context.Context, std streams) ([]finding, error) {
	findings, e, err := cmd.begin(ctx)
	if err != nil {
		return append(findings, verdict("database", err, "")), ctx.Err()
	}
	defer func() { _ = e.Close() }()

	version, latest, err := e.Schema(ctx)
	current := fmt.Sprintf("version %d", version)
	if version < latest {
		current = fmt.Sprintf("version %d; the next start makes %d of it, and then there is more to check", version, latest)
	}
	if err == nil {
		err = checkSchema(ctx, e)
	}
	findings = append(findings, verdict("schema", err, current))
	keyset, detail, err := cmd.loadKeyset(ctx, e)
	findings = append(findings, verdict("keyset", err, detail))
	if version != latest {
		return findings, ctx.Err()
	}
	if counts, err := e.Counts(ctx); err == nil && counts == (store.Counts{}) {
		findings = append(findings, verdict("projects", nil, "there is none yet; the next tokenwire serve creates the first, and prints its credential"))
	}
	findings = append(findings, checkRecords(ctx, e))
	if keyset != nil {
		findings = append(findings, checkSecrets(ctx, std, e, keyset)...)
	}
	return findings, ctx.Err()
}

// checkRecords looks at what the rows say, each alone and about each other.
func checkRecords(ctx context.Context, e examination) finding {
	problems, err := e.Invariants(ctx)
	if err == nil {
		var foreign []string
		foreign, err = checkContract(ctx, e)
		problems = append(problems, foreign...)
	}
	return verdict("records", listed(problems, err), "what they say about each other agrees")
}

// checkSchema finds out whether the schema is the one that the migrations make. Without its indexes everything works, slowly; without its
// constraints and triggers what must not be may be.
func checkSchema(ctx context.Context, e examination) error {
	missing, foreign, err := e.Compare(ctx)
	if err != nil || len(missing)+len(foreign) == 0 {
		return err
	}
	var found, advice []string
	if len(missing) > 0 {
		found, advice = append(found, "missing: "+strings.Join(missing, "; ")), append(advice, "create what is missing again")
	}
	if len(foreign) > 0 {
		found, advice = append(found, "not tokenwire's: "+strings.Join(foreign, "; ")), append(advice, "drop what is not tokenwire's")
	}
	return fmt.Errorf("%s; %s, or restore a backup", strings.Join(found, "; "), strings.Join(advice, ", "))
}

// examination is a look at a database of either kind.
type examination interface {
	Schema(ctx context.Context) (int64, int64, error)
	Compare(ctx context.Context) (missing, foreign []string, err error)
	Integrity(ctx context.Context) ([]string, error)
	Invariants(ctx context.Context) ([]string, error)
	EachProject(ctx context.Context, read func(store.Project)) error
	EachToken(ctx context.Context, read func(store.Token)) error
	Counts(ctx context.Context) (store.Counts, error)
	KeysetCheck(ctx context.Context) ([]byte, error)
	rekey.Reader
	Close() error
}

// begin opens the database, and looks at what the two kinds have not in common.
func (cmd doctorCmd) begin(ctx context.Context) ([]finding, examination, error) {
	if postgres.IsDSN(cmd.DB) {
		e, err := postgres.Examine(ctx, cmd.DB)
		if err != nil {
			return nil, nil, err
		}
		problems, err := e.Integrity(ctx)
		return []finding{
			verdict("database", nil, cmd.name()), verdict("durability", listed(problems, err), "the server writes to the disk what it acknowledges"),
		}, e, nil
	}
	e, err := sqlite.Examine(ctx, cmd.DB)
	if err != nil {
		return nil, nil, orAnother(err, "path with --db")
	}
	problems, err := e.Integrity(ctx)
	return []finding{checkMode(cmd.DB), verdict("integrity", listed(problems, err), "SQLite finds nothing wrong")}, e, nil
}

// verdict is good with its detail if there is no error.
func verdict(check string, err error, detail string) finding {
	if err != nil {
		return finding{Check: check, Unfinished: errors.Is(err, sqlite.ErrUnfinished), Detail: err.Error()}
	}
	return finding{Check: check, OK: true, Detail: detail}
}

func listed(problems []string, err error) error {
	if err == nil && len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return err
}

// checkMode finds a database that others may read.
func checkMode(path string) finding {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s may be read by others (mode %#o); run chmod 600 on it", path, info.Mode().Perm())
	}
	return verdict("file", err, absolute(path))
}

// loadKeyset returns the keyset if it is the database's, or nil if there is none yet, and says which of the two.
func (cmd doctorCmd) loadKeyset(ctx context.Context, e examination) (*secret.Keyset, string, error) {
	check, err := e.KeysetCheck(ctx)
	if err != nil {
		return nil, "", err
	}
	keyset, err := secret.LoadKeyset(cmd.keysetFile())
	switch {
	case check == nil && errors.Is(err, fs.ErrNotExist): // the first start was cut off
		return nil, "there is none yet; the next tokenwire serve makes it", nil
	case err != nil:
		return nil, "", err
	case check == nil:
		return keyset, cmd.keysetFile() + " becomes the one of this database with the next tokenwire serve", nil
	}
	if err := mustFit(keyset, cmd.keysetFile(), check); err != nil {
		return keyset, "", err
	}
	return keyset, cmd.keysetFile() + " is the one of this database", keyset.Follow(check)
}

// checkSecrets opens everything that is sealed, and compares secrets with the hashes by which their tokens are found.
func checkSecrets(ctx context.Context, std streams, e examination, keyset *secret.Keyset) []finding {
	found, err := look(ctx, std, e, keyset)
	if err == nil {
		err = found.Err()
	}
	return []finding{verdict("secrets", err, describeOpened(found)), describeKeys(keyset, found)}
}

// describeOpened says how many values there are, if they open all.
func describeOpened(found rekey.Found) string {
	secrets, answers := 0, 0
	for _, use := range found.ByKey {
		secrets, answers = secrets+use.Secrets, answers+use.Answers
	}
	text := fmt.Sprintf("%d open, and are those that the tokens are found by", secrets)
	if secrets == 1 {
		text = "1 opens, and is the one that its token is found by"
	}
	switch answers {
	case 0:
		return text
	case 1:
		return text + "; so does 1 answer that is kept for an idempotency key"
	}
	return fmt.Sprintf("%s; so do %d answers that are kept for idempotency keys", text, answers)
}

// describeKeys says what each key has sealed. What a key has sealed that is not there no rotation can seal again.
func describeKeys(keyset *secret.Keyset, found rekey.Found) finding {
	left := found.Others(keyset.Sealing())
	var keys []string
	missing := 0
	for _, k := range keysOf(keyset, found) {
		keys = append(keys, fmt.Sprintf("%d (%s): %s, %s", k.ID, k.State, counted(k.Secrets, "secret"), counted(k.Answers, "answer")))
		if k.State == keyMissing {
			missing++
		}
	}
	switch {
	case missing == 1:
		keys = append(keys, "find the keyset that has the missing key, and name it with --keyset")
	case missing > 1:
		keys = append(keys, "find the keyset that has the missing keys, and name it with --keyset")
	case left > 0:
		keys = append(keys, "tokenwire keyset rotate seals the rest with the key that seals")
	}
	return finding{Check: "keys", OK: missing == 0, Detail: strings.Join(keys, "; ")}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Package contract holds a server against the contract, openapi.yaml: whether it is a tokenwire server or SignalWire itself.
//
//	report, err := contract.Run(ctx, contract.Config{BaseURL: url, ProjectID: projectID, Token: apiToken})
//	if err != nil {
//		return err // it could not run
//	}
//	for _, result := range report.Failed() {
//		fmt.Println(result.ID, result.Failure)
//	}
//
// A run needs a top-level project and a token of it that holds the permission management. It speaks raw HTTP, one request
// at a time, and holds every answer against the schema of its operation, besides what its cases ask for.
//
// # What a run leaves behind
//
// Everything that a run makes is named tokenwire-contract-…, but where a case shows that a blank name is refused. It deletes
// the tokens that it made, also after its context has ended, and names those that it could not delete in the report. It
// changes nothing that it did not make. Accounts cannot be deleted, so subprojects stay: the first run makes three, a later
// one uses those that it finds and makes one more, to show that it can. A run that is limited to cases without subprojects
// makes none.
//
// A full run fails about eighty log-ins on purpose. When the server answers that these were too many, the run waits as long
// as it is told, a few times: a minute at most each time, and five in all.
package contract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// Config says which server is held against the contract, and by which cases.
type Config struct {
	// BaseURL is the server, such as http://127.0.0.1:8080 or https://example.signalwire.com. Required.
	BaseURL string
	// ProjectID and Token are the credential: a top-level project, and the secret of a token of it with the permission
	// management. Required.
	ProjectID, Token string
	// HTTPClient sends the requests. Redirects are not followed, whatever it says. Default: a client with a timeout of 30 s.
	HTTPClient *http.Client
	// Extensions adds the cases on what SignalWire does not have.
	Extensions bool
	// Only selects cases: by id, by the beginning of an id, or by a pattern with *, ? and […]. By default all are run.
	Only []string
	// Progress, unless it is nil, is called with each result as soon as it is there, from one goroutine.
	Progress func(Result)
	// Record keeps what the server answers, for [Report.Recording].
	Record bool
	// Timeout bounds the whole run. Default 15 minutes.
	Timeout time.Duration
}

// Case is one promise of the contract.
type Case struct {
	// ID is made of words between dots, from the general to the particular, such as compat.update.absent-name-kept.
	ID string `json:"id"`
	// Statement is the promise, in one line.
	Statement string `json:"statement"`
	// Source is where it stands: a section of the reference, a numbered decision, or a part of openapi.yaml.
	Source string `json:"source"`
	// Extension says that SignalWire does not promise this.
	Extension bool `json:"extension"`

	run func(*trial)
	// varies says that the answers depend on what else the server holds, so that a recording leaves them out.
	varies bool
}

// Result is what became of a case.
type Result struct {
	Case
	// Failure is nil when the server keeps the promise.
	Failure *Failure `json:"failure,omitempty"`
	// Duration is how long the case took, in nanoseconds when it is JSON.
	Duration time.Duration `json:"duration"`
}

// Report is what became of a run.
type Report struct {
	BaseURL    string        `json:"base_url"`
	Extensions bool          `json:"extensions"`
	Results    []Result      `json:"results"`
	Duration   time.Duration `json:"duration"`
	// Leftovers is the ids of tokens that the run made and could not delete.
	Leftovers []string `json:"leftovers,omitempty"`

	recorded []RecordedCase
}

// Failed returns the results of the cases that failed.
func (r Report) Failed() []Result {
	var failed []Result
	for _, result := range r.Results {
		if result.Failure != nil {
			failed = append(failed, result)
		}
	}
	return failed
}

// Recording returns the answers of the server, to be compared with those of another, if [Config.Record] asked for them. Cases
// whose answers depend on what else the server holds are left out.
func (r Report) Recording() Recording {
	return Recording{Version: recordingVersion, Extensions: r.Extensions, Cases: append([]RecordedCase{}, r.recorded...)}
}

// Cases returns every case, in the order in which they are run.
func Cases() []Case {
	return slices.Concat(
		authCases(), createCases(), updateCases(), deleteCases(), formCases(), bodyCases(), accountCases(), renameCases(),
		reachCases(), orderCases(), httpCases(), accountPageCases(),
		summaryCases(), listCases(), tokenPageCases(), expiryCases(), rotationCases(), idempotencyCases(), auditCases(), verifyCases(), probeCases(),
	)
}

// Selected returns the cases that a configuration asks for, which are what Run runs. The error says that there are none.
func (config Config) Selected() ([]Case, error) {
	for _, pattern := range config.Only {
		if !slices.ContainsFunc(Cases(), func(c Case) bool { return matches(c.ID, pattern) }) {
			return nil, fmt.Errorf("%q selects no case", pattern)
		}
	}
	var cases []Case
	for _, c := range Cases() {
		wanted := len(config.Only) == 0 || slices.ContainsFunc(config.Only, func(pattern string) bool { return matches(c.ID, pattern) })
		if wanted && (config.Extensions || !c.Extension) {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return nil, errors.New("what was selected are extensions alone: ask for extensions too")
	}
	return cases, nil
}

func matches(id, pattern string) bool {
	ok, err := path.Match(pattern, id)
	return ok && err == nil || pattern != "" && strings.HasPrefix(id, pattern)
}

// Run runs the cases one after the other. The error says that they could not be run: no server there, a credential that it
// refuses or that lacks the permission management, a configuration that makes no sense, or a context that ended before the
// last case; what had been found out by then is in the report. Cases that failed are no error.
func Run(ctx context.Context, config Config) (Report, error) { return run(ctx, config, maxPatience) }

func run(ctx context.Context, config Config, patience time.Duration) (Report, error) {
	start := time.Now()
	report := Report{BaseURL: config.BaseURL, Extensions: config.Extensions}
	cases, err := config.Selected()
	if err != nil {
		return report, err
	}
	s, err := newSuite(config)
	if err != nil {
		return report, err
	}
	defer s.client.CloseIdleConnections()
	s.patience = patience
	timeout := cmp.Or(config.Timeout, 15*time.Minute)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the run took longer than %v: %w", timeout, context.DeadlineExceeded))
	defer cancel()
	if err := s.preflight(ctx); err != nil {
		return report, s.secrets.error(err)
	}
	for _, c := range cases {
		if ctx.Err() != nil {
			break
		}
		result, recorded := s.runCase(ctx, c)
		if ctx.Err() != nil {
			break // it was cut short: what it says is not the server's fault
		}
		report.Results = append(report.Results, result)
		if recorded != nil {
			report.recorded = append(report.recorded, *recorded)
		}
		if config.Progress != nil {
			config.Progress(result)
		}
	}
	for _, id := range s.deleteLeft(ctx) {
		report.Leftovers = append(report.Leftovers, s.secrets.text(id))
	}
	report.Duration = time.Since(start)
	return report, interrupted(ctx, len(report.Results), len(cases))
}

// interrupted says that a run has not come to its end, if so.
func interrupted(ctx context.Context, done, all int) error {
	if done == all {
		return nil
	}
	return fmt.Errorf("ended after %d of %d cases: %w", done, all, context.Cause(ctx))
}

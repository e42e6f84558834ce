package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tokenwire/tokenwire/client/contract"
	"github.com/tokenwire/tokenwire/server/plainfile"
)

type contractCmd struct {
	BaseURL      string   `placeholder:"URL" help:"Server to hold against the contract, such as http://127.0.0.1:8080. By default the Space in SIGNALWIRE_SPACE."`
	InsecureHTTP bool     `name:"insecure-http" help:"Send the credential over plain HTTP to another machine."`
	Extensions   bool     `env:"TOKENWIRE_CONTRACT_EXTENSIONS" help:"Run the cases on what SignalWire does not have too."`
	Only         []string `env:"TOKENWIRE_CONTRACT_ONLY" placeholder:"CASE" help:"Run these cases alone: by id, by the beginning of an id, or by a pattern with *. Repeat the flag, or separate with commas."`
	List         bool     `env:"TOKENWIRE_CONTRACT_LIST" help:"List the cases, and run none."`
	Format       string   `env:"TOKENWIRE_CONTRACT_FORMAT" enum:"text,json,junit" default:"text" help:"How to report: text, json or junit. (default: ${default})"`
	Record       string   `env:"TOKENWIRE_CONTRACT_RECORD" placeholder:"FILE" help:"Write the server's answers to this file."`
	Compare      string   `env:"TOKENWIRE_CONTRACT_COMPARE" placeholder:"FILE" help:"Report how the answers differ from those in this file, which --record has written."`
}

// Help says what a run needs, and what it does.
func (contractCmd) Help() string {
	return environmentHelp + `

The project must be a top-level one. Whatever a run makes is named tokenwire-contract-…; it deletes its tokens again, also when
it is interrupted, and changes nothing else. Subprojects cannot be deleted, so they stay: the first run makes three, and each later one one more.

Exit codes: 0 all is well, 1 cases failed or answers differ from the recorded ones, 2 it could not run, or had
nothing to compare.`
}

// exitError is a failure with an exit code of its own.
type exitError struct {
	error
	code int
}

// Unwrap returns what failed.
func (e exitError) Unwrap() error { return e.error }

// exitCode returns the exit code of a failure.
func exitCode(err error) int {
	if own, ok := errors.AsType[exitError](err); ok {
		return own.code
	}
	return 1
}

func couldNotRun(err error) error { return exitError{err, 2} }

// Run lists or runs the cases.
func (cmd contractCmd) Run(ctx context.Context, std streams) error {
	config := contract.Config{Only: cmd.Only, Extensions: cmd.Extensions || cmd.List}
	cases, err := config.Selected()
	if err != nil {
		return couldNotRun(fmt.Errorf("--only: %w", err))
	}
	if cmd.List {
		return cmd.list(std, cases)
	}
	if err := cmd.server(&config); err != nil {
		return couldNotRun(err)
	}
	recorded, err := cmd.recorded()
	if err != nil {
		return couldNotRun(fmt.Errorf("--compare: %w", err))
	}
	file, err := openRecording(cmd.Record)
	if err != nil {
		return couldNotRun(fmt.Errorf("--record: %w", err))
	}
	defer file.abandon()
	if cmd.Format == "text" {
		config.Progress = printProgress(std, cases)
	}
	config.Record = cmd.Record != "" || cmd.Compare != ""
	report, err := contract.Run(ctx, config)
	outcome := contractOutcome{Report: report, selected: len(cases)}
	if err != nil {
		return couldNotRun(cmp.Or(cmd.ended(std, outcome, err), err))
	}
	return cmd.conclude(std, outcome, recorded, file)
}

// conclude compares, prints and records what a run has found out.
func (cmd contractCmd) conclude(std streams, outcome contractOutcome, recorded contract.Recording, file *recordingFile) error {
	recording := outcome.Recording()
	if cmd.Compare != "" {
		outcome.compare(recorded, recording)
	}
	if err := cmp.Or(outcome.print(std, cmd.Format), file.write(recording)); err != nil {
		return couldNotRun(err)
	}
	if cmd.Compare != "" && *outcome.Compared == 0 {
		return couldNotRun(fmt.Errorf("--compare: %s has none of the cases that were run: record them first, with the same --only and --extensions", cmd.Compare))
	}
	return outcome.verdict()
}

// ended prints what a run has found out that did not come to its end, if it has.
func (cmd contractCmd) ended(std streams, outcome contractOutcome, err error) error {
	if len(outcome.Results) == 0 && len(outcome.Leftovers) == 0 {
		return nil
	}
	outcome.Ended = err.Error()
	if err := outcome.print(std, cmd.Format); err != nil {
		return err
	}
	if cmd.Record != "" || cmd.Compare != "" {
		_, _ = fmt.Fprintln(std.err, "The answers were neither recorded nor compared: the run has not come to its end.")
	}
	return nil
}

// server completes a configuration from the flags and the environment. The client knows what is wrong with either.
func (cmd contractCmd) server(config *contract.Config) error {
	c, err := (apiFlags{BaseURL: cmd.BaseURL, InsecureHTTP: cmd.InsecureHTTP}).client()
	if err != nil {
		return err
	}
	config.ProjectID, config.Token = os.Getenv("SIGNALWIRE_PROJECT_ID"), os.Getenv("SIGNALWIRE_API_TOKEN")
	config.BaseURL = c.BaseURL()
	return nil
}

// recorded reads what --compare names.
func (cmd contractCmd) recorded() (contract.Recording, error) {
	if cmd.Compare == "" {
		return contract.Recording{}, nil
	}
	file, err := plainfile.Open(cmd.Compare)
	if err != nil {
		return contract.Recording{}, err
	}
	defer func() { _ = file.Close() }()
	return contract.ReadRecording(file)
}

func (cmd contractCmd) list(std streams, cases []contract.Case) error {
	switch cmd.Format {
	case "json":
		return writeJSON(std.out, cases)
	case "junit":
		return couldNotRun(errors.New("--list: there is no such list in the format junit"))
	}
	rows := make([][]string, 0, len(cases))
	for _, c := range cases {
		rows = append(rows, []string{c.ID, c.Statement, c.Source})
	}
	return writeTable(std.out, []string{"CASE", "PROMISE", "SOURCE"}, rows)
}

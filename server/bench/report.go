package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const plotFile = "results.svg"

// report prints the table, and writes it with the machine and the plot.
func (cmd runCmd) report(all results) error {
	if err := writeText(os.Stdout, all.lines); err != nil {
		return err
	}
	folder := cmd.folder()
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // results are for everybody
		return err
	}
	err := writeFile(filepath.Join(folder, plotFile), func(to io.Writer) error { return writePlot(to, all.growth, all.connections) })
	if err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	page := filepath.Join(folder, "RESULTS.md")
	if err := writeFile(page, func(to io.Writer) error { return cmd.writePage(to, all) }); err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "\nWritten to %s and %s.\n", page, plotFile)
	if cmd.Quick {
		return nil
	}
	fmt.Fprintln(os.Stdout, "\nThe README's part of it:")
	fmt.Fprintln(os.Stdout)
	return readmeCmd{page}.Run()
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path) //nolint:gosec // whoever runs this names the folder
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// writeFacts writes a table of them for a page.
func writeFacts(to io.Writer, facts []fact) error {
	var table strings.Builder
	table.WriteString("\n| | |\n|---|---|\n")
	for _, fact := range facts {
		fmt.Fprintf(&table, "| %s | %s |\n", fact.name, fact.value)
	}
	_, err := io.WriteString(to, table.String())
	return err
}

// explanation says how the table is read.
const explanation = `
Each cell of a ratio is the median of the rounds, with the least and the greatest in parentheses: tokenwire's requests per second,
divided by the other's in the same round. More is better. A target is met (✓) or missed by the median; where some rounds meet it and
others do not, the least and the greatest follow. Starts are judged in the same way, and what has one value, as the highest memory under
load, by that.

* tokenwire is the program as it is installed, called over HTTP, with a database in a file: each change is durable when it is
  answered, and has its event in the audit trail. It logs at the level warn, because the others log nothing. What it serves was filled in
  with a history: the event of its creation for each token.
* "Bare Echo" decodes and encodes JSON of the same size and does nothing else; it answers 200 where tokenwire refuses, and 204
  without looking at the call for verify and DELETE.
* The "stock stack" is oapi-codegen's strict server with its usual kin-openapi middleware and fixed answers.
* "Raw SQLite" is what can be written by hand: a prepared UPDATE of one row by its id, name and time, which is one transaction, one after
  the other, within one process and without HTTP. Engine, table and settings are tokenwire's (modernc.org/sqlite through
  zombiezen.com/go/sqlite, WAL, synchronous=FULL, a cache of 16 MB, a checkpoint every 4,000 pages). POST and DELETE are compared with
  that update too.
* Prism is the usual mock of an OpenAPI document.
* The rows on PostgreSQL are the same program and the same calls with --db postgres://…, on a cluster that initdb has just made
  (fsync, synchronous_commit and full_page_writes on, the other settings as they come). "pgbench" is its own load generator, a program in C
  without HTTP, on the same cluster, over TCP and with as many clients as tokenwire has connections: each sends
  UPDATE … SET name = …, updated_at = updated_at + 1 WHERE n = … for a row of a copy of the tokens, by a random number, over the prepared
  protocol, as a transaction of its own. tokenwire's update reads the token and its caller, locks its account, writes the row and an event
  with three indexes, and notifies the other servers. "1 replica" is one of the three servers alone with all connections.

Every answer was checked for its status. The calls come over 64 connections where nothing else is said, from a load generator that
shares the machine with the servers. Memory is the resident set of the process; after the start, a
quarter of a second after the first answer. Where the time goes, and what was tried about it, is
in [PROFILE.md](PROFILE.md).
`

func (cmd runCmd) writePage(to io.Writer, all results) error {
	if _, err := fmt.Fprint(to, "# What tokenwire costs\n\nWritten by `make bench`. Do not edit.\n"); err != nil {
		return err
	}
	if err := writeFacts(to, all.machine); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(to); err != nil {
		return err
	}
	if err := writeMarkdown(to, all.lines); err != nil {
		return err
	}
	notes := explanation
	if all.withoutPrism != nil {
		notes += fmt.Sprintf("\nPrism is %v.\n", all.withoutPrism)
	}
	if cmd.Quick {
		notes += "\nThe rounds of this run were so short that its numbers mean nothing.\n"
	}
	_, err := fmt.Fprintf(to, "%s\n![How the rate of updates depends on the number of tokens and of connections](%s)\n", notes, plotFile)
	return err
}

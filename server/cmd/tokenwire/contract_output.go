package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenwire/tokenwire/client/contract"
)

// contractOutcome is what `tokenwire contract` reports.
type contractOutcome struct {
	contract.Report
	// Drift is how the answers differ from the recorded ones.
	Drift []contract.Difference `json:"drift,omitempty"`
	// Compared is how many cases were compared with the recorded ones, and Unrecorded how many are not among those. Both are
	// nil when there was nothing to compare with.
	Compared   *int `json:"compared,omitempty"`
	Unrecorded *int `json:"unrecorded,omitempty"`
	// Ended is why the run ended before the last case, if it did.
	Ended string `json:"ended,omitempty"`

	// selected is how many cases there were to run.
	selected int
}

// compare notes how the answers differ from recorded ones.
func (o *contractOutcome) compare(recorded, current contract.Recording) {
	comparison := contract.Compare(recorded, current)
	o.Drift, o.Compared, o.Unrecorded = comparison.Differences, &comparison.Compared, &comparison.Unrecorded
}

// printProgress returns what prints a line for each case when it has been run.
func printProgress(std streams, cases []contract.Case) func(contract.Result) {
	width := 0
	for _, c := range cases {
		width = max(width, len(c.ID))
	}
	return func(result contract.Result) {
		state := "ok"
		if result.Failure != nil {
			state = "FAILED"
		}
		_, _ = fmt.Fprintf(std.out, "%-6s  %-*s  %s\n", state, width, result.ID, result.Statement)
	}
}

func (o contractOutcome) print(std streams, format string) error {
	switch format {
	case "json":
		return writeJSON(std.out, o)
	case "junit":
		return o.junit(std.out)
	}
	return o.text(std)
}

// text prints what failed in full, and a summary. What the server said is kept from steering the terminal.
func (o contractOutcome) text(std streams) error {
	var lines []string
	for _, result := range o.Failed() {
		lines = append(lines, "", "FAILED  "+result.ID, "promise:", "  "+result.Statement+" ("+result.Source+")")
		lines = append(lines, strings.Split(result.Failure.String(), "\n")...)
	}
	if len(o.Drift) > 0 {
		lines = append(lines, "", "The answers differ from the recorded ones:")
		for _, difference := range o.Drift {
			lines = append(lines, "  "+difference.String())
		}
	}
	if o.Compared != nil {
		lines = append(lines, "", fmt.Sprintf("%d cases compared; %d are not in the recording.", *o.Compared, *o.Unrecorded))
		if *o.Compared > 0 && len(o.Drift) == 0 {
			lines = append(lines, "No answer is another than the recorded one.")
		}
	}
	if len(o.Leftovers) > 0 {
		lines = append(lines, "", "These tokens could not be deleted: "+strings.Join(o.Leftovers, ", "))
	}
	if o.Ended != "" {
		lines = append(lines, "", fmt.Sprintf("The run has not come to its end: %d of %d cases were not run.", o.selected-len(o.Results), o.selected))
	}
	lines = append(lines, "", fmt.Sprintf("%d cases, %d failed, in %v", len(o.Results), len(o.Failed()), o.Duration.Round(100*time.Millisecond)))
	for _, line := range lines {
		if _, err := fmt.Fprintln(std.out, oneLine(line)); err != nil {
			return err
		}
	}
	return nil
}

// verdict is what failed, if something did.
func (o contractOutcome) verdict() error {
	var problems []string
	if failed := len(o.Failed()); failed > 0 {
		problems = append(problems, fmt.Sprintf("%d of %d cases failed", failed, len(o.Results)))
	}
	if len(o.Drift) > 0 {
		problems = append(problems, fmt.Sprintf("%d differences from the recorded answers", len(o.Drift)))
	}
	if len(o.Leftovers) > 0 {
		problems = append(problems, fmt.Sprintf("%d tokens could not be deleted", len(o.Leftovers)))
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(problems, ", "))
}

// The elements of JUnit's XML that every reader of it knows.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
		Error   *junitFailure `xml:"error,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit prints the cases as one suite and, if there are any, the differences as another.
func (o contractOutcome) junit(out io.Writer) error {
	cases := junitSuite{Name: "tokenwire contract", Tests: len(o.Results), Failures: len(o.Failed()), Time: seconds(o.Duration)}
	for _, result := range o.Results {
		one := junitCase{Class: classOf(result.ID), Name: result.ID + ": " + result.Statement, Time: seconds(result.Duration)}
		if result.Failure != nil {
			one.Failure = &junitFailure{Message: result.Failure.Message, Type: "contract", Text: result.Failure.String()}
		}
		cases.Cases = append(cases.Cases, one)
	}
	if o.Ended != "" {
		cases.Tests, cases.Errors = cases.Tests+1, 1
		cases.Cases = append(cases.Cases, junitCase{
			Class: "contract.run", Name: "the run comes to its end", Time: seconds(0), Error: &junitFailure{Message: o.Ended, Type: "ended", Text: o.Ended},
		})
	}
	document := junitSuites{Suites: []junitSuite{cases}}
	if len(o.Drift) > 0 {
		drift := junitSuite{Name: "tokenwire contract: drift", Tests: len(o.Drift), Failures: len(o.Drift), Time: seconds(0)}
		for _, d := range o.Drift {
			drift.Cases = append(drift.Cases, junitCase{
				Class: classOf(d.Case), Name: fmt.Sprintf("%s: request %d: %s", d.Case, d.Exchange, d.What), Time: seconds(0),
				Failure: &junitFailure{Message: d.String(), Type: "drift", Text: d.String()},
			})
		}
		document.Suites = append(document.Suites, drift)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(out)
	encoder.Indent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

// classOf returns the general part of a case's id.
func classOf(id string) string {
	general, _, _ := strings.Cut(id, ".")
	return "contract." + general
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

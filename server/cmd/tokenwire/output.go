package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"text/tabwriter"
	"unicode"
)

// writeJSON prints value for programs, and for people who pipe.
func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// writeTable prints rows under their headings.
func writeTable(out io.Writer, headings []string, rows [][]string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{headings}, rows...) {
		cells := make([]string, 0, len(row))
		for _, cell := range row {
			cells = append(cells, oneLine(cell))
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) // Flush has the error
	}
	return table.Flush()
}

// openOutput opens a file to write to, which may be something like /dev/stdout, with further flags of os.OpenFile. A pipe from which nobody reads is refused: to
// open it would mean to wait for somebody.
func openOutput(name string, flags int, mode fs.FileMode) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK|flags, mode) //nolint:gosec // the operator names the file
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("nobody reads from %s, which is no ordinary file: %w", name, err)
	}
	return file, err
}

// oneLine shows text on one line and keeps it from steering the terminal: names come from whoever creates tokens.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, text)
}

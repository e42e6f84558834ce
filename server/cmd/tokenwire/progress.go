package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

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

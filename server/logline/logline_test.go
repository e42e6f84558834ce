package logline_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/logline"
)

// reader is who gets the lines. It takes a write when it is told to.
type reader struct {
	reached chan struct{}
	take    chan error
	text    bytes.Buffer
}

func newReader() *reader { return &reader{reached: make(chan struct{}), take: make(chan error)} }

func (r *reader) Write(lines []byte) (int, error) {
	r.reached <- struct{}{}
	if err := <-r.take; err != nil {
		return 0, err
	}
	return r.text.Write(lines)
}

func say(t *testing.T, w *logline.Writer, line string) {
	t.Helper()
	if n, err := w.Write([]byte(line)); n != len(line) || err != nil {
		t.Fatalf("Write returned %d, %v", n, err)
	}
}

// saying says in the log what is reported.
func saying(t *testing.T, w *logline.Writer) func(uint64, error) {
	t.Helper()
	return func(dropped uint64, failure error) {
		say(t, w, fmt.Sprintf("dropped=%d failure=%v\n", dropped, failure))
	}
}

// TestReaderThatStops: who logs does not wait for a reader, what is too much is counted, and it is said once when lines flow again.
func TestReaderThatStops(t *testing.T) {
	t.Parallel()
	r := newReader()
	w := logline.NewWriter(r)
	w.Report(saying(t, w))
	say(t, w, "first\n")
	<-r.reached // and the reader stops
	line := strings.Repeat("x", 1023) + "\n"
	for range 1024 + 50 {
		say(t, w, line)
	}
	if got := w.Dropped(); got != 50 {
		t.Errorf("%d lines were dropped, want 50", got)
	}
	r.take <- nil // first
	<-r.reached
	r.take <- nil // what was kept
	<-r.reached
	r.take <- nil // the report
	say(t, w, "last\n")
	<-r.reached
	r.take <- nil
	w.Close(time.Minute)
	if want := "first\n" + strings.Repeat(line, 1024) + "dropped=50 failure=<nil>\nlast\n"; r.text.String() != want {
		t.Errorf("the reader got %d bytes, want %d", r.text.Len(), len(want))
	}
}

// TestNoPause: that lines were dropped is said also when others always wait.
func TestNoPause(t *testing.T) {
	t.Parallel()
	r := newReader()
	w := logline.NewWriter(r)
	w.Report(saying(t, w))
	say(t, w, "first\n")
	<-r.reached
	line := strings.Repeat("x", 1023) + "\n"
	for range 1024 + 50 {
		say(t, w, line)
	}
	for range 5 { // whenever something is written, there is more
		r.take <- nil
		<-r.reached
		say(t, w, "next\n")
	}
	r.take <- nil
	<-r.reached
	r.take <- nil
	w.Close(time.Minute)
	if got, want := strings.ReplaceAll(r.text.String(), line, ""), "first\nnext\ndropped=50 failure=<nil>\n"+strings.Repeat("next\n", 4); got != want {
		t.Errorf("the reader got %q, want %q", got, want)
	}
}

// TestReaderThatFails: lines that could not be written are counted too, and nobody hears of an error. What was said is not said again.
func TestReaderThatFails(t *testing.T) {
	t.Parallel()
	r := newReader()
	w := logline.NewWriter(r)
	write := func(line string, err error) {
		say(t, w, line)
		<-r.reached
		r.take <- err
	}
	full := errors.New("disk full")
	write("lost\n", full)
	write("nobody reports\n", nil)
	// When the next has arrived, that is written.
	say(t, w, "kept\n")
	<-r.reached
	w.Report(saying(t, w))
	r.take <- nil
	<-r.reached
	r.take <- nil // the report
	for range 3 {
		write("lost\n", full)
	}
	write("kept\n", nil)
	<-r.reached
	r.take <- nil
	w.Close(time.Minute)
	if got, want := r.text.String(), "nobody reports\nkept\ndropped=1 failure=disk full\nkept\ndropped=3 failure=disk full\n"; got != want || w.Dropped() != 4 {
		t.Errorf("the reader got %q, want %q; %d were dropped", got, want, w.Dropped())
	}
}

// TestClose: what waits is written, and a reader that has stopped does not keep who closes.
func TestClose(t *testing.T) {
	t.Parallel()
	r := newReader()
	w := logline.NewWriter(r)
	w.Report(func(uint64, error) { t.Error("a report that would not be written is made") })
	say(t, w, "one\n")
	<-r.reached
	say(t, w, "two\n")
	w.Close(time.Millisecond)
	say(t, w, "late\n")
	if got := w.Dropped(); got != 1 {
		t.Errorf("%d lines were dropped after the end, want 1", got)
	}
	r.take <- nil
	<-r.reached
	r.take <- nil
	w.Close(time.Minute)
	if got := r.text.String(); got != "one\ntwo\n" {
		t.Errorf("the reader got %q", got)
	}
}

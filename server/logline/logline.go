// Package logline takes the lines of a log and writes them later, so that who logs never waits for who reads.
//
// A log that goes into a pipe is as fast as its reader, and ends with it. A server must not: what cannot be written in time is kept up
// to a bound, what is more is dropped and counted, and one line says how much that was when lines flow again.
//
//	w := logline.NewWriter(os.Stderr)
//	logger := slog.New(slog.NewTextHandler(w, nil))
//	w.Report(func(dropped uint64, failure error) { logger.Warn("lines were dropped", "lines", dropped, "failure", failure) })
//	…
//	w.Close(time.Second)
package logline

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxPending bounds what waits to be written, in bytes. As much may be on its way besides.
const maxPending = 1 << 20

// Writer writes lines in the background. Each call of Write is for whole lines.
type Writer struct {
	out    io.Writer
	report func(dropped uint64, failure error)

	mu      sync.Mutex
	pending []byte // lines that wait
	closed  bool

	wake    chan struct{} // there is something to write, or nothing comes any more
	done    chan struct{} // closed when everything is written
	dropped atomic.Uint64
}

// NewWriter returns a Writer that writes to out.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Report has report called when lines have been dropped and others are written again: with the last error by which some could not be
// written, or nil when there was none, but nobody has read them in time. It may log.
func (w *Writer) Report(report func(dropped uint64, failure error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report = report
}

// Dropped returns how many lines were dropped.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Write takes lines, and never fails or waits: who logs could do nothing about it.
func (w *Writer) Write(lines []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.pending)+len(lines) > maxPending {
		w.drop(lines)
		return len(lines), nil
	}
	w.pending = append(w.pending, lines...)
	w.signal()
	return len(lines), nil
}

func (w *Writer) drop(lines []byte) {
	w.dropped.Add(uint64(bytes.Count(lines, []byte{'\n'}))) //nolint:gosec // a count is not negative
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Close writes what waits, for so long at most, and takes nothing more.
func (w *Writer) Close(timeout time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.signal()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(timeout):
	}
}

// run writes what there is, as much as there is at once.
func (w *Writer) run() {
	defer close(w.done)
	var (
		lines    []byte
		reported uint64
		failure  error
	)
	for range w.wake {
		var closed bool
		if lines, closed = w.take(lines[:0]); len(lines) > 0 {
			if n, err := w.out.Write(lines); err != nil {
				w.drop(lines[n:])
				failure = err
			} else if now := w.reportSince(reported, failure); now != reported {
				reported, failure = now, nil
			}
		}
		if closed {
			return
		}
	}
}

// take exchanges what waits for an empty buffer, and reports whether that was the last of it.
func (w *Writer) take(empty []byte) ([]byte, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.pending
	w.pending = empty
	return lines, w.closed
}

// reportSince says how many lines were dropped, once so many fewer wait that the line which says so is not dropped too. That none do
// may never come.
func (w *Writer) reportSince(reported uint64, failure error) uint64 {
	w.mu.Lock()
	caughtUp, report := len(w.pending) < maxPending/2 && !w.closed, w.report
	w.mu.Unlock()
	dropped := w.dropped.Load()
	if dropped == reported || !caughtUp || report == nil {
		return reported
	}
	report(dropped-reported, failure)
	return dropped
}

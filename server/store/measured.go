package store

import "time"

// Batch is a transaction that changes which waited at the same time have shared.
type Batch struct {
	// Changes is how many they were. Those whose callers had gone before it was their turn are none of them.
	Changes int
	// Took is how long they took, until they were durable or given up.
	Took time.Duration
	// Outcome is what has become of it in the end, after all attempts.
	Outcome Outcome
}

// Outcome is what has become of a batch.
type Outcome int

const (
	// Committed says that what was not refused is durable.
	Committed Outcome = iota
	// Unchanged says that there was nothing to write: each change was refused, or had been made before.
	Unchanged
	// Failed says that the database has failed. Callers get ErrUnavailable; a commit of which no answer came may have been made.
	Failed
)

// Measured is what a store does besides that writes in batches, and can be asked how that goes.
type Measured interface {
	// ObserveBatches has observe called once for each batch from now on, before its changes are answered. It may be
	// called by several goroutines at once, and delays every change: it must be quick.
	ObserveBatches(observe func(Batch))

	// WaitingChanges returns how many changes wait to be written at this moment, without those that are being written.
	WaitingChanges() int
}

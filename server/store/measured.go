package store

import "time"

// Batch is a transaction that changes which waited at the same time have shared.
type Batch struct {
	// Changes is how many they were.
	Changes int
	// Took is how long they took, until they were durable or given up.
	Took time.Duration
	// Failed says that none of them was made, because the database has failed.
	Failed bool
}

// Measured is what a store does besides that writes in batches, and can be asked how that goes.
type Measured interface {
	// ObserveBatches has observe called once for each batch from now on, before its changes are answered. It may be
	// called by several goroutines at once, and delays every change: it must be quick.
	ObserveBatches(observe func(Batch))

	// WaitingChanges returns how many changes wait to be written at this moment, without those that are being written.
	WaitingChanges() int
}

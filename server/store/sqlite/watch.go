package sqlite

import (
	"context"
	"log/slog"
	"time"
)

// watchInterval is how long a log that was removed may be noticed by nobody, when there are no changes.
const watchInterval = time.Second

// Watch looks after the files of the database until ctx ends. A log that was removed is seen by the next change, and by Watch when
// there is none: what it has is saved. The operator gets a line when that has happened, and one when it needs them.
func (db *DB) Watch(ctx context.Context, logger *slog.Logger) {
	ticks := time.NewTicker(watchInterval)
	defer ticks.Stop()
	rescues, said := uint64(0), ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		problem := ""
		if db.writer.files.Load().look() != nil {
			if err := db.transact(ctx, func(*tx) error { return nil }); err != nil && ctx.Err() == nil {
				problem = err.Error()
			}
		}
		if problem != "" && problem != said {
			logger.ErrorContext(ctx, "no change can be made durable", "error", problem)
		}
		if now := db.writer.rescues.Load(); now != rescues {
			rescues = now
			logger.WarnContext(ctx, "a file of the database was removed while it was open; everything that was acknowledged is in the others now, and nothing is lost",
				"db", db.writer.path, "files", "-wal, -shm")
		} else if problem == "" && said != "" {
			logger.InfoContext(ctx, "changes are made durable again")
		}
		said = problem
	}
}

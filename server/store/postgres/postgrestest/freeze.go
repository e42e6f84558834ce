//go:build unix

package postgrestest

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Freeze stops all processes of the server where they are. Nothing is closed, and the kernel goes on accepting connections, but
// nobody answers.
func (c *Cluster) Freeze(ctx context.Context) error {
	connection, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { // without a word to a server that cannot hear it
		_ = connection.PgConn().Conn().Close()
	}()
	if err := c.stop(c.process.Pid); err != nil { // so that there are no more than those that it is asked for now
		return err
	}
	rows, err := connection.Query(ctx, `SELECT pid FROM pg_stat_activity ORDER BY pid = pg_backend_pid()`)
	if err != nil {
		return errors.Join(err, c.Thaw())
	}
	processes, err := pgx.CollectRows(rows, pgx.RowTo[int])
	for _, process := range processes {
		err = errors.Join(err, c.stop(process))
	}
	if err != nil {
		return errors.Join(err, c.Thaw())
	}
	return nil
}

func (c *Cluster) stop(process int) error {
	err := syscall.Kill(process, syscall.SIGSTOP)
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		return nil // it has ended meanwhile
	}
	c.frozen = append(c.frozen, process)
	return err
}

// Thaw lets a server go on that was frozen.
func (c *Cluster) Thaw() error {
	var errs []error
	for _, process := range c.frozen {
		if err := syscall.Kill(process, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	c.frozen = nil
	return errors.Join(errs...)
}

//go:build unix

package crashtest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// TestPostgresReplicas lets several processes of the real binary work on one PostgreSQL. Its parts follow each other, because some of
// them measure.
func TestPostgresReplicas(t *testing.T) {
	if _, err := postgrestest.Binaries(); err != nil {
		postgrestest.Start(t, nil) // which skips the test, or fails it
	}
	program := build(t)
	t.Run("failover", func(t *testing.T) { testFailover(t, program) })
	t.Run("failover of a machine", func(t *testing.T) { testVanishing(t, program) })
	t.Run("failover checks can fail", func(t *testing.T) { failoverCanFail(t, program) })
	t.Run("start together", func(t *testing.T) { testTogether(t, program) })
	t.Run("upgrade", func(t *testing.T) { testUpgrade(t, program) })
	t.Run("revocation", func(t *testing.T) { testRevocation(t, program) })
	t.Run("cut off", func(t *testing.T) { testCutOff(t, program) })
}

func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return rounded(slices.Sorted(slices.Values(times))[len(times)/2])
}

func largest(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return rounded(slices.Max(times))
}

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

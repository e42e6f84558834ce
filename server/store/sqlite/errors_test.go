package sqlite_test

import (
	"context"
	"errors"
	"testing"

	zombiezen "zombiezen.com/go/sqlite"

	"github.com/tokenwire/tokenwire/server/store"
	"github.com/tokenwire/tokenwire/server/store/sqlite"
)

// TestRetryableFailures: what a retry may overcome is unavailable, and a slip of ours is not.
func TestRetryableFailures(t *testing.T) {
	t.Parallel()
	for code, want := range map[zombiezen.ResultCode]bool{
		zombiezen.ResultBusySnapshot: true, zombiezen.ResultProtocol: true, zombiezen.ResultFull: true, zombiezen.ResultIOErrRead: true,
		zombiezen.ResultError: false, zombiezen.ResultMisuse: false, zombiezen.ResultConstraintCheck: false,
	} {
		if err := sqlite.Explain(t.Context(), code.ToError()); errors.Is(err, store.ErrUnavailable) != want {
			t.Errorf("%v: %v, want it unavailable: %v", code, err, want)
		}
	}
}

// TestLostTransactions: why one caller's change has failed is not what the others are told.
func TestLostTransactions(t *testing.T) {
	t.Parallel()
	if err := sqlite.Lost(context.Canceled); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.Canceled) {
		t.Errorf("a lost transaction is %v", err)
	}
}

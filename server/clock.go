package server

import (
	"context"
	"time"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/sandbox"
)

// timeIn returns the time that a world lives in, as an answer shows it.
func (s *Server) timeIn(world *sandbox.World) time.Time {
	return s.config.Now().Add(world.Shift()).UTC().Truncate(time.Microsecond)
}

// ReadSandboxClock is the operation read_sandbox_clock.
func (s *Server) ReadSandboxClock(
	ctx context.Context, request serverapi.ReadSandboxClockRequestObject,
) (serverapi.ReadSandboxClockResponseObject, error) {
	world, err := s.World(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	return serverapi.ReadSandboxClock200JSONResponse{Body: serverapi.SandboxClock{Now: s.timeIn(world)}}, nil
}

// maxShift bounds how far a clock may be from the server's. A time.Duration cannot hold much more.
const maxShift = 200 * 365 * 24 * time.Hour

var errClock = &problem{fields: []fieldError{{bodyAttribute, invalidField, "The clock must stay within 200 years of the real time"}}}

// SetSandboxClock is the operation set_sandbox_clock.
func (s *Server) SetSandboxClock(
	ctx context.Context, request serverapi.SetSandboxClockRequestObject,
) (serverapi.SetSandboxClockResponseObject, error) {
	world, err := s.World(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	shift, err := newShift(*request.Body, world.Shift(), s.config.Now())
	if err != nil {
		return nil, err
	}
	world.SetShift(shift)
	return serverapi.SetSandboxClock200JSONResponse{Body: serverapi.SandboxClock{Now: s.timeIn(world)}}, nil
}

// newShift returns how far ahead of the server's clock a change puts one that is so far ahead of it already.
func newShift(change serverapi.SandboxClockChange, shift time.Duration, now time.Time) (time.Duration, error) {
	switch {
	case (change.Now == nil) == (change.AdvanceSeconds == nil):
		return 0, &problem{fields: []fieldError{{bodyAttribute, invalidField, "Give advance_seconds or now, one of the two"}}}
	case change.Now != nil:
		shift = change.Now.Sub(now)
	default:
		by := time.Duration(*change.AdvanceSeconds) * time.Second // at most 200 years, by the contract
		if shift > maxShift-by {
			return 0, errClock
		}
		shift += by
	}
	if shift.Abs() > maxShift {
		return 0, errClock
	}
	return shift, nil
}

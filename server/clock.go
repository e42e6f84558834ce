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

// SetSandboxClock is the operation set_sandbox_clock.
func (s *Server) SetSandboxClock(
	ctx context.Context, request serverapi.SetSandboxClockRequestObject,
) (serverapi.SetSandboxClockResponseObject, error) {
	world, err := s.World(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	if err := s.setClock(world, *request.Body); err != nil {
		return nil, refusedBySandbox(err)
	}
	return serverapi.SetSandboxClock200JSONResponse{Body: serverapi.SandboxClock{Now: s.timeIn(world)}}, nil
}

func (s *Server) setClock(world *sandbox.World, change serverapi.SandboxClockChange) error {
	switch {
	case (change.Now == nil) == (change.AdvanceSeconds == nil):
		return &problem{fields: []fieldError{{bodyAttribute, invalidField, "Give advance_seconds or now, one of the two"}}}
	case change.AdvanceSeconds != nil:
		return world.Advance(time.Duration(*change.AdvanceSeconds) * time.Second) // at most 200 years, by the contract
	}
	now := s.config.Now()
	return world.Move(func(time.Duration) (time.Duration, error) { return change.Now.Sub(now), nil })
}

package servertest

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/sandbox"
)

// Fault is what happens to calls of one operation of a project. See its fields; Times 0 means every call.
type Fault = sandbox.Fault

// The ways in which a Fault breaks a connection.
const (
	CloseBeforeAnswer = sandbox.CloseBeforeAnswer
	CloseInAnswer     = sandbox.CloseInAnswer
	LoseAnswer        = sandbox.LoseAnswer
)

// Call is a request and its answer in a project's journal, without secrets.
type Call = sandbox.Call

// AddFault lets calls of a project fail whose credential is good. It refuses a fault that the contract does not know; the
// error lists those that it knows.
func (s *Server) AddFault(project Project, fault Fault) error {
	id, err := uuid.Parse(project.ProjectID)
	if err != nil {
		return fmt.Errorf("the project's id: %w", err)
	}
	_, err = s.server.AddFault(context.Background(), id, fault)
	return err
}

// ClearFaults lets the calls of a project succeed again.
func (s *Server) ClearFaults(project Project) error {
	world, err := s.world(project)
	if err != nil {
		return err
	}
	world.Faults.Clear()
	return nil
}

// Journal returns the calls that named a project, by their credential or in their path, in the order in which they were
// finished. It has the last 1000, and fewer when they are large.
func (s *Server) Journal(project Project) ([]Call, error) {
	world, err := s.world(project)
	if err != nil {
		return nil, err
	}
	calls, _ := world.Journal.Calls(sandbox.Query{})
	return calls, nil
}

// WaitForCalls waits until n calls of an operation have been made, or of any if operation is empty, and returns them. The
// error wraps the context's when that ends earlier.
func (s *Server) WaitForCalls(ctx context.Context, project Project, operation string, n int) ([]Call, error) {
	world, err := s.world(project)
	if err != nil {
		return nil, err
	}
	calls, _, enough := world.Journal.Wait(ctx, sandbox.Query{Operation: operation}, n)
	if !enough {
		return calls, fmt.Errorf("%d of %d calls of %q were made: %w", len(calls), n, operation, ctx.Err())
	}
	return calls, nil
}

// ClearJournal begins a new journal.
func (s *Server) ClearJournal(project Project) error {
	world, err := s.world(project)
	if err != nil {
		return err
	}
	world.Journal.Clear()
	return nil
}

// AdvanceProject sets the clock of one project forward; Advance sets everybody's. It refuses more than 200 years.
func (s *Server) AdvanceProject(project Project, by time.Duration) error {
	world, err := s.world(project)
	if err != nil {
		return err
	}
	return world.Advance(by)
}

func (s *Server) world(project Project) (*sandbox.World, error) {
	id, err := uuid.Parse(project.ProjectID)
	if err != nil {
		return nil, fmt.Errorf("the project's id: %w", err)
	}
	return s.server.World(context.Background(), id)
}

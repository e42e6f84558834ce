// Package sandbox is what makes a test server of a server: worlds that know nothing of each other, each with faults, a
// journal of its calls, and a clock.
//
// A world is one top-level project with everything that belongs to it. The package holds what a world has besides its data; the
// data are in the store. Package server fills the journal, obeys the faults and asks for the time; it knows HTTP, this package
// does not.
package sandbox

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// maxSnapshots bounds the snapshots of one world. The oldest is forgotten first.
const maxSnapshots = 100

// Sandbox has the worlds of a server, by the Project ID of the top-level project. Its methods may be called from many
// goroutines at once.
type Sandbox struct {
	mu     sync.Mutex
	worlds map[uuid.UUID]*World
}

// New returns a Sandbox without worlds.
func New() *Sandbox { return &Sandbox{worlds: make(map[uuid.UUID]*World)} }

// World returns the world of a project. The caller makes sure that there is such a project.
func (s *Sandbox) World(project uuid.UUID) *World {
	s.mu.Lock()
	defer s.mu.Unlock()
	world, ok := s.worlds[project]
	if !ok {
		world = &World{Project: project, Journal: newJournal()}
		s.worlds[project] = world
	}
	return world
}

// Size returns how many worlds there are.
func (s *Sandbox) Size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.worlds)
}

// Remove forgets a world.
func (s *Sandbox) Remove(project uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.worlds, project)
}

// World is what one project of a sandbox has besides its data.
type World struct {
	// Project is the top-level project.
	Project uuid.UUID
	Faults  Faults
	Journal *Journal

	mu        sync.Mutex
	ahead     time.Duration // how much the clock is ahead of the server's
	initial   store.Snapshot
	snapshots []Snapshot
}

// Snapshot is a state of a world to come back to.
type Snapshot struct {
	ID    uuid.UUID
	At    time.Time // by the world's clock
	State store.Snapshot
	ahead time.Duration
}

// Shift returns by how much the world's clock is ahead of the server's.
func (w *World) Shift() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ahead
}

// Advance sets the clock forward.
func (w *World) Advance(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += by
}

// SetShift sets the clock so much ahead of the server's, or behind it when the time is negative.
func (w *World) SetShift(ahead time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead = ahead
}

// Created notes the state to which Rewind goes back without a snapshot.
func (w *World) Created(state store.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.initial = state
}

// Keep adds a snapshot.
func (w *World) Keep(snapshot Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	snapshot.ahead = w.ahead
	if len(w.snapshots) == maxSnapshots {
		w.snapshots = slices.Delete(w.snapshots, 0, 1)
	}
	w.snapshots = append(w.snapshots, snapshot)
}

// Snapshot returns the snapshot with this id, and the state at the creation for uuid.Nil. It reports false when there is
// none.
func (w *World) Snapshot(id uuid.UUID) (Snapshot, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == uuid.Nil {
		return Snapshot{State: w.initial}, w.initial != nil
	}
	i := slices.IndexFunc(w.snapshots, func(s Snapshot) bool { return s.ID == id })
	if i < 0 {
		return Snapshot{}, false
	}
	return w.snapshots[i], true
}

// Rewind sets the clock back to what it was at a snapshot, and clears faults and journal.
func (w *World) Rewind(to Snapshot) {
	w.SetShift(to.ahead)
	w.Faults.Clear()
	w.Journal.Clear()
}

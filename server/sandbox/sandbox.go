// Package sandbox is what makes a test server of a server: worlds that know nothing of each other, each with faults, a
// journal of its calls, and a clock.
//
// A world is one top-level project with everything that belongs to it. The package holds what a world has besides its data; the
// data are in the store. Package server fills the journal, obeys the faults and asks for the time; it knows HTTP, this package
// does not.
package sandbox

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// What a sandbox keeps at most. How large a world is, and with it a snapshot, is for its tests to say.
const (
	maxWorlds = 10_000
	// maxSnapshots bounds the snapshots of one world, and maxAllSnapshots those of all.
	maxSnapshots    = 100
	maxAllSnapshots = 10_000
	// maxShift bounds how far a clock may be from the server's. A time.Duration cannot hold much more.
	maxShift = 200 * 365 * 24 * time.Hour
)

var (
	// ErrTooManyWorlds says that a sandbox has as many worlds as it may have.
	ErrTooManyWorlds = errors.New("a sandbox may have at most 10000 projects; delete some")
	// ErrClock says that a clock must not be set so far ahead or back.
	ErrClock = errors.New("the clock must stay within 200 years of the real time")
)

// Sandbox has the worlds of a server, by the Project ID of the top-level project. Its methods may be called from many
// goroutines at once.
type Sandbox struct {
	eras atomic.Uint64

	mu     sync.Mutex // guards the journals and the snapshots of all worlds too
	worlds map[uuid.UUID]*World
	// bytes is what all journals take, and snapshots how many there are.
	bytes, snapshots int
}

// New returns a Sandbox without worlds.
func New() *Sandbox { return &Sandbox{worlds: make(map[uuid.UUID]*World)} }

// Create returns the world of a new project. One that an earlier project with this id has left is forgotten.
func (s *Sandbox) Create(project uuid.UUID) (*World, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if earlier, ok := s.worlds[project]; ok {
		s.forget(earlier)
	}
	return s.add(project)
}

func (s *Sandbox) add(project uuid.UUID) (*World, error) {
	if len(s.worlds) >= maxWorlds {
		return nil, ErrTooManyWorlds
	}
	world := &World{Project: project, Journal: newJournal(s), sandbox: s}
	world.era.Store(s.eras.Add(1))
	s.worlds[project] = world
	return world, nil
}

// World returns the world of a project, and reports false when there is none.
func (s *Sandbox) World(project uuid.UUID) (*World, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	world, ok := s.worlds[project]
	return world, ok
}

// Ensure returns the world of a project, and creates it if there is none. It is for projects that are never removed: who asks
// for one that has just been removed would have it back.
func (s *Sandbox) Ensure(project uuid.UUID) (*World, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if world, ok := s.worlds[project]; ok {
		return world, nil
	}
	return s.add(project)
}

// Remove forgets a world, and nothing when its project has another one by now.
func (s *Sandbox) Remove(world *World) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(world)
}

func (s *Sandbox) forget(world *World) {
	if s.worlds[world.Project] != world {
		return
	}
	delete(s.worlds, world.Project)
	world.removed = true
	world.Journal.close()
	s.snapshots -= len(world.snapshots)
	world.snapshots, world.initial = nil, nil
}

// World is what one project of a sandbox has besides its data.
type World struct {
	// Project is the top-level project.
	Project uuid.UUID
	Faults  Faults
	Journal *Journal

	era     atomic.Uint64
	sandbox *Sandbox

	// What the sandbox's mutex guards.
	removed   bool
	initial   store.Snapshot
	snapshots []Snapshot

	mu    sync.Mutex
	ahead time.Duration // how much the clock is ahead of the server's
}

// Snapshot is a state of a world to come back to.
type Snapshot struct {
	ID    uuid.UUID
	At    time.Time // by the world's clock
	State store.Snapshot
	ahead time.Duration
}

// Era is a number that no other world of the sandbox has, and that is another one after each Rewind: what was remembered of a
// world in one era means nothing in the next. It is not 0.
func (w *World) Era() uint64 { return w.era.Load() }

// Shift returns by how much the world's clock is ahead of the server's.
func (w *World) Shift() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ahead
}

// Move sets the clock so much ahead of the server's as to says, which is given how much it is now; behind it when the time is
// negative. The error is that of to, or ErrClock, and nothing was changed then. No other change happens in between, and to must
// not ask the world for anything.
func (w *World) Move(to func(ahead time.Duration) (time.Duration, error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	ahead, err := to(w.ahead)
	if err != nil {
		return err
	}
	if ahead.Abs() > maxShift {
		return ErrClock
	}
	w.ahead = ahead
	return nil
}

// Advance sets the clock forward, or back when the time is negative.
func (w *World) Advance(by time.Duration) error {
	return w.Move(func(ahead time.Duration) (time.Duration, error) {
		if by > 0 && ahead > maxShift-by || by < 0 && ahead < -maxShift-by { // their sum may be more than a Duration can hold
			return 0, ErrClock
		}
		return ahead + by, nil
	})
}

// Created notes the state to which Initial leads back.
func (w *World) Created(state store.Snapshot) {
	w.sandbox.mu.Lock()
	defer w.sandbox.mu.Unlock()
	if !w.removed {
		w.initial = state
	}
}

// Keep adds a snapshot. When the world has too many its oldest is forgotten, and when the sandbox has, the oldest of the world
// that has the most.
func (w *World) Keep(snapshot Snapshot) {
	snapshot.ahead = w.Shift()
	s := w.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.removed {
		return
	}
	if len(w.snapshots) == maxSnapshots {
		w.dropSnapshot()
	}
	if s.snapshots == maxAllSnapshots {
		most := w
		for _, other := range s.worlds {
			if len(other.snapshots) > len(most.snapshots) {
				most = other
			}
		}
		most.dropSnapshot()
	}
	w.snapshots = append(w.snapshots, snapshot)
	s.snapshots++
}

func (w *World) dropSnapshot() {
	w.snapshots = slices.Delete(w.snapshots, 0, 1)
	w.sandbox.snapshots--
}

// Snapshot returns the snapshot with this id, or reports false when there is none.
func (w *World) Snapshot(id uuid.UUID) (Snapshot, bool) {
	w.sandbox.mu.Lock()
	defer w.sandbox.mu.Unlock()
	i := slices.IndexFunc(w.snapshots, func(s Snapshot) bool { return s.ID == id })
	if i < 0 {
		return Snapshot{}, false
	}
	return w.snapshots[i], true
}

// Initial returns the state at the creation, or reports false when it was not noted.
func (w *World) Initial() (Snapshot, bool) {
	w.sandbox.mu.Lock()
	defer w.sandbox.mu.Unlock()
	return Snapshot{State: w.initial}, w.initial != nil
}

// Rewind sets the clock back to what it was at a snapshot, clears faults and journal, and begins a new era.
func (w *World) Rewind(to Snapshot) {
	w.mu.Lock()
	w.ahead = to.ahead
	w.mu.Unlock()
	w.Faults.Clear()
	w.Journal.Clear()
	w.era.Store(w.sandbox.eras.Add(1))
}

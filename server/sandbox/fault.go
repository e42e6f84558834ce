package sandbox

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxFaults bounds the faults of one world.
const maxFaults = 1000

// ErrTooManyFaults says that a world has as many faults as it may have.
var ErrTooManyFaults = errors.New("a project may have at most 1000 faults; delete them")

// Connection is how a fault breaks a connection.
type Connection string

// The ways to break a connection.
const (
	// CloseBeforeAnswer hangs up, and the call is not carried out.
	CloseBeforeAnswer Connection = "close_before_answer"
	// CloseInAnswer carries the call out and hangs up in the middle of the body of its answer.
	CloseInAnswer Connection = "close_in_answer"
	// LoseAnswer carries the call out and hangs up without a byte of its answer.
	LoseAnswer Connection = "lose_answer"
)

// Fault is what happens to calls of one operation whose credential is good.
type Fault struct {
	// ID is chosen when the fault is added.
	ID uuid.UUID
	// Operation is the operationId of the contract.
	Operation string
	// Times is how many calls it concerns; 0 means every call.
	Times int
	// Delay lets the call wait first.
	Delay time.Duration
	// Status, unless it is 0, answers the call with an error that the contract documents for the operation, and Code chooses
	// one where it documents several for the status.
	Status int
	Code   string
	// Connection, unless it is empty, breaks the connection.
	Connection Connection
}

// Faults are the faults of a world, in the order in which they are used. The zero value has none.
type Faults struct {
	mu   sync.Mutex
	list []Fault
}

// Add adds a fault behind the others, and returns it with its id.
func (f *Faults) Add(fault Fault) (Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) >= maxFaults {
		return Fault{}, ErrTooManyFaults
	}
	fault.ID = uuid.Must(uuid.NewV7())
	f.list = append(f.list, fault)
	return fault, nil
}

// List returns the faults that calls will meet still.
func (f *Faults) List() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.list)
}

// Clear removes all faults.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = nil
}

// Take returns the fault that a call of an operation meets, and uses it up by one. It reports false when there is none.
func (f *Faults) Take(operation string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.list, func(fault Fault) bool { return fault.Operation == operation })
	if i < 0 {
		return Fault{}, false
	}
	fault := f.list[i]
	switch fault.Times {
	case 0:
	case 1:
		f.list = slices.Delete(f.list, i, i+1)
	default:
		f.list[i].Times--
	}
	return fault, true
}

package server

import (
	"context"
	"runtime"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/tokenwire/tokenwire/server/store"
)

// maxListsWaiting bounds how many lists of one project wait, besides those that are read: what comes then is refused.
const maxListsWaiting = 64

// lists is a store that bounds how many lists are read at once. One of them may look at every row of an account, for seconds, on one
// of the few connections that log-ins and everything else need as well: so one is left to those, and no project takes more than half
// of the others.
type lists struct {
	store.Store
	turns      *semaphore.Weighted
	perProject int64

	mu       sync.Mutex
	projects map[uuid.UUID]*projectLists
}

// projectLists are the lists of one project.
type projectLists struct {
	turns *semaphore.Weighted
	count int // that are read or wait
}

func newLists(db store.Store) *lists {
	turns := int64(max(4, runtime.GOMAXPROCS(0)) - 1)
	return &lists{
		Store: db, turns: semaphore.NewWeighted(turns), perProject: (turns + 1) / 2,
		projects: make(map[uuid.UUID]*projectLists),
	}
}

// Projects returns a page of projects.
func (l *lists) Projects(ctx context.Context, query store.ProjectQuery) ([]store.Project, error) {
	return inTurn(ctx, l, func() ([]store.Project, error) { return l.Store.Projects(ctx, query) })
}

// Tokens returns a page of tokens.
func (l *lists) Tokens(ctx context.Context, query store.TokenQuery) ([]store.Token, error) {
	return inTurn(ctx, l, func() ([]store.Token, error) { return l.Store.Tokens(ctx, query) })
}

// AuditEvents returns a page of the audit trail.
func (l *lists) AuditEvents(ctx context.Context, query store.AuditQuery) ([]store.AuditEvent, error) {
	return inTurn(ctx, l, func() ([]store.AuditEvent, error) { return l.Store.AuditEvents(ctx, query) })
}

// inTurn reads a list when it is the turn of its caller's project. Who waits takes no turn of others.
func inTurn[T any](ctx context.Context, l *lists, read func() ([]T, error)) ([]T, error) {
	caller, _ := callerFrom(ctx)
	own, err := l.enter(caller.ProjectID)
	if err != nil {
		return nil, err
	}
	defer l.leave(caller.ProjectID, own)
	for _, turns := range []*semaphore.Weighted{own.turns, l.turns} {
		if err := waitForTurn(ctx, turns); err != nil {
			return nil, err
		}
		defer turns.Release(1)
	}
	return read()
}

// enter counts one more list of a project.
func (l *lists) enter(project uuid.UUID) (*projectLists, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.projects[project]
	if own == nil {
		own = &projectLists{turns: semaphore.NewWeighted(l.perProject)}
		l.projects[project] = own
	}
	if int64(own.count) >= l.perProject+maxListsWaiting {
		return nil, errOverloaded
	}
	own.count++
	return own, nil
}

func (l *lists) leave(project uuid.UUID, own *projectLists) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own.count--; own.count == 0 {
		delete(l.projects, project)
	}
}

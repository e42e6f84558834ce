package store

import (
	"time"

	"github.com/google/uuid"
)

// Project owns tokens. It is the account of the Compatibility API.
type Project struct {
	ID uuid.UUID
	// ParentID is the owner of a subproject, and uuid.Nil for a top-level project. There is one level of nesting.
	ParentID  uuid.UUID
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// IsSubproject reports whether another project owns p.
func (p Project) IsSubproject() bool { return p.ParentID != uuid.Nil }

// Root returns the project at the top: the parent of a subproject, and a top-level project itself.
func (p Project) Root() uuid.UUID {
	if p.IsSubproject() {
		return p.ParentID
	}
	return p.ID
}

// Page says which part of a list is meant. Lists have a total order by id, so that a page that begins after an entry is
// the same whatever was added or removed before it.
type Page struct {
	// Limit is the most entries that are returned.
	Limit int
	// After, if it is not nil, begins the page behind the entry with this id, in the list's order. The entry need not
	// exist any more.
	After *uuid.UUID
	// Before, if it is not nil, ends the page in front of the entry with this id. At most one of After and Before is set.
	Before *uuid.UUID
	// Offset skips entries from the beginning, when neither After nor Before is set.
	Offset int
}

// ProjectQuery selects projects.
type ProjectQuery struct {
	// Account, unless it is uuid.Nil, selects this project and its subprojects.
	Account uuid.UUID
	// Name, unless it is empty, selects the projects with exactly this name.
	Name string
	Page
}

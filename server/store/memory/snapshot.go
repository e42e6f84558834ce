package memory

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// snapshot is a world that nothing changes.
type snapshot struct{ world *world }

// copy returns a world that shares nothing that can change.
func (w *world) copy() *world {
	copied := &world{root: w.root, projects: slices.Clone(w.projects), events: slices.Clone(w.events), answers: maps.Clone(w.answers)}
	for _, t := range w.tokens {
		copied.tokens = append(copied.tokens, &token{Token: keptToken(t.Token), retired: maps.Clone(t.retired)})
	}
	return copied
}

// Snapshot returns a copy of a world.
func (db *DB) Snapshot(ctx context.Context, project uuid.UUID) (store.Snapshot, error) {
	var taken snapshot
	err := db.read(ctx, "take a snapshot", func() error {
		home, ok := db.worlds[project]
		if !ok {
			return store.ErrNotFound
		}
		taken.world = home.copy()
		return nil
	})
	return taken, err
}

// Restore puts a world back.
func (db *DB) Restore(ctx context.Context, from store.Snapshot) error {
	taken, ok := from.(snapshot)
	if !ok || taken.world == nil {
		return errors.New("restore a snapshot: another store has made it")
	}
	return db.write(ctx, "restore a snapshot", func() error {
		current := db.worlds[taken.world.root]
		if current != nil {
			db.drop(current)
		}
		restored := taken.world.copy()
		if err := db.checkWorld(restored); err != nil {
			if current != nil {
				db.index(current)
			}
			return err
		}
		db.index(restored)
		return nil
	})
}

// Remove forgets a world.
func (db *DB) Remove(ctx context.Context, project uuid.UUID) error {
	return db.write(ctx, "remove a project", func() error {
		home, ok := db.worlds[project]
		if !ok {
			return store.ErrNotFound
		}
		db.drop(home)
		return nil
	})
}

// checkWorld makes sure that nothing of a world is in another one.
func (db *DB) checkWorld(w *world) error {
	for _, project := range w.projects {
		if _, taken := db.roots[project.ID]; taken {
			return store.ErrConflict
		}
	}
	for _, t := range w.tokens {
		if err := db.checkToken(t.Token); err != nil {
			return err
		}
		for hash := range t.retired {
			if _, taken := db.secrets[hash]; taken {
				return store.ErrConflict
			}
		}
	}
	return nil
}

// index adds a world to the indexes, and drop takes it out of them.
func (db *DB) index(w *world) {
	db.worlds[w.root] = w
	for _, project := range w.projects {
		db.roots[project.ID] = w.root
	}
	for _, t := range w.tokens {
		db.tokens[t.ID], db.secrets[t.SecretHash] = w, t
		for hash := range t.retired {
			db.secrets[hash] = t
		}
	}
}

func (db *DB) drop(w *world) {
	delete(db.worlds, w.root)
	for _, project := range w.projects {
		delete(db.roots, project.ID)
	}
	for _, t := range w.tokens {
		db.dropToken(t)
	}
}

//go:build unix

package crashtest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server/store/postgres/postgrestest"
)

// upgradeLoad is how long each step of an upgrade is under load, besides what it takes.
const upgradeLoad = 300 * time.Millisecond

// nextMigration is one that a later version may bring: it only adds.
const nextMigration = `-- +goose Up
ALTER TABLE projects ADD COLUMN notes integer NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN note text;
CREATE TABLE notes (token_id %s NOT NULL PRIMARY KEY REFERENCES tokens (id) ON DELETE CASCADE, note text);
CREATE INDEX tokens_note ON tokens (note);
`

// testUpgrade lets an older and a newer program work side by side.
func testUpgrade(t *testing.T, program string) {
	t.Helper()
	cluster := postgrestest.Start(t, nil)
	t.Run("to the next version", func(t *testing.T) {
		next := buildNext(t)
		rollingUpgrade(t, cluster.NewDatabase(t), program, next)
		upgradeFile(t, program, next)
	})
	t.Run("from the previous version", func(t *testing.T) {
		tag := previousVersion(t)
		if tag == "" {
			t.Skip("there is no tag yet of a version that knows PostgreSQL: the upgrade was tested from this version to itself with one more migration")
		}
		previous := buildTag(t, tag)
		rollingUpgrade(t, cluster.NewDatabase(t), previous, program)
		upgradeFile(t, previous, program)
	})
}

// rollingUpgrade replaces servers one after the other under load, and takes one back. Every change must be acknowledged.
func rollingUpgrade(t *testing.T, dsn, before, after string) {
	t.Helper()
	r := &run{world: newWorld(1), began: time.Now()}
	older := site{program: before, dir: t.TempDir(), url: dsn}
	newer := older
	newer.program = after
	load := func(servers []*child, step func()) {
		r.world.load(t, servers, upgradeLoad, strike{step, func(error) bool { return false }})
		report(t, r.world.failures())
	}
	first, second := older.start(t), older.start(t)
	var third, fourth *child
	load([]*child{first, second}, func() { third = newer.start(t) })
	load([]*child{first, second, third}, func() { fourth = older.start(t) }) // which finds what it does not know
	load([]*child{third, fourth}, func() { first.stop(t); second.stop(t) })
	<-time.After(obeyed) // what one server has changed last another may not know until then
	r.verify(t, third, false)
	r.verify(t, fourth, true)
	load([]*child{third}, func() { fourth.stop(t) })
	r.verify(t, third, false)
	third.stop(t)
	for _, c := range []*child{first, second, third, fourth} {
		report(t, c.complaints())
	}
	t.Logf("%d changes acknowledged while servers were replaced, none refused or lost", r.world.acknowledged())
}

// upgradeFile does so with a database that is a file, which the older program has closed.
func upgradeFile(t *testing.T, before, after string) {
	t.Helper()
	r := &run{world: newWorld(2), began: time.Now()}
	on := site{program: before, dir: t.TempDir()}
	for _, program := range []string{before, after} {
		on.program = program
		c := on.start(t)
		r.verify(t, c, true)
		r.world.load(t, []*child{c}, upgradeLoad, strike{func() {}, func(error) bool { return false }})
		r.verify(t, c, true)
		c.stop(t)
		report(t, append(c.complaints(), r.world.failures()...))
	}
}

// buildNext builds this version with one more migration for each kind of database.
func buildNext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replaced := make(map[string]string)
	for kind, id := range map[string]string{"postgres": "uuid", "sqlite": "blob"} {
		file := filepath.Join(dir, kind+".sql")
		must(t, os.WriteFile(file, []byte(strings.Replace(nextMigration, "%s", id, 1)), 0o600))
		path, err := filepath.Abs(filepath.Join(root, "server/store", kind, "migrations/99999_next.sql"))
		must(t, err)
		replaced[path] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	return build(t, "-overlay", filepath.Join(dir, "overlay.json"))
}

// previousVersion returns the newest tag before this commit, or "" when there is none or it does not know PostgreSQL.
func previousVersion(t *testing.T) string {
	t.Helper()
	tag, err := exec.CommandContext(t.Context(), "git", "-C", root, "describe", "--tags", "--abbrev=0", "HEAD^").Output()
	name := strings.TrimSpace(string(tag))
	if err != nil || exec.CommandContext(t.Context(), "git", "-C", root, "cat-file", "-e", name+":server/store/postgres/postgres.go").Run() != nil {
		return ""
	}
	return name
}

// buildTag builds an earlier version from a tree of its own.
func buildTag(t *testing.T, tag string) string {
	t.Helper()
	dir := t.TempDir()
	archive, err := exec.CommandContext(t.Context(), "git", "-C", root, "archive", "--format=tar", tag).Output()
	must(t, err)
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(archive)
	must(t, unpack.Run())
	return buildIn(t, dir)
}

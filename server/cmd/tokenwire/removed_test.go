package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

// more waits until so many more creations are answered that some of them have begun after this call.
func (l *load) more(t *testing.T) {
	t.Helper()
	over := time.After(time.Minute)
	for range 10 {
		select {
		case <-l.made:
		case <-over:
			t.Fatal("nothing is created any more")
		}
	}
}

// said returns when a line of the log has this text.
func said(t *testing.T, s *service, text string) {
	t.Helper()
	over := time.After(time.Minute)
	for {
		select {
		case line, ok := <-s.log:
			if !ok {
				t.Fatalf("the server has ended, and its log has never had %q", text)
			}
			if strings.Contains(line, text) {
				return
			}
		case <-over:
			t.Fatalf("the log has no %q", text)
		}
	}
}

// TestLogRemovedUnderLoad: whatever lies beside the database is removed while the server works, it goes on, and what it has answered
// is there after it was killed.
func TestLogRemovedUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flags := []string{"--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken}
	s := serve(t, dir, flags...)
	go s.waitForExit() // takes the log, which would hold the server up
	l := begin(t, s.url)
	l.answered()
	for range 3 {
		for _, suffixes := range [][]string{{"-wal"}, {"-shm"}, {"-wal", "-shm"}} {
			for _, suffix := range suffixes {
				check(t, os.Remove(filepath.Join(dir, "tokenwire.db"+suffix)))
			}
			l.more(t)
		}
	}
	l.stop()
	check(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	execute(t, dir, nil, "doctor").want(t, 0)
	again := serve(t, dir, flags...)
	for _, token := range l.answered() {
		c, err := client.New(firstProject, token.Secret.Reveal(), client.WithBaseURL(again.url))
		check(t, err)
		if _, err := c.UpdateToken(t.Context(), token.ID, client.UpdateTokenParams{}); err != nil {
			t.Fatalf("token %s, whose creation was answered: %v", token.ID, err)
		}
	}
	again.stop(t)
}

// TestLogRemovedBesideAnotherProcess: as long as another process has what was removed, changes are refused and it is said why; when
// it is gone they go on, and nothing that was answered is lost.
func TestLogRemovedBesideAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flags := []string{"--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken}
	s, other := serve(t, dir, flags...), serve(t, dir)
	c, err := client.New(firstProject, firstToken, client.WithBaseURL(s.url), client.WithRetries(0))
	check(t, err)
	wanted := client.CreateTokenParams{Name: "Wanted", Permissions: []client.Permission{client.PermissionFax}}
	kept, err := c.CreateToken(t.Context(), wanted)
	check(t, err)
	check(t, os.Remove(filepath.Join(dir, "tokenwire.db-wal")))
	if _, err := c.CreateToken(t.Context(), wanted); err == nil {
		t.Fatal("a change was acknowledged while another process has what was removed")
	}
	said(t, s, "stop that program")
	other.stop(t)
	ctx, giveUp := context.WithTimeout(t.Context(), time.Minute)
	defer giveUp()
	for _, err = c.CreateToken(ctx, wanted); err != nil; _, err = c.CreateToken(ctx, wanted) {
		if ctx.Err() != nil {
			t.Fatalf("the other process has gone, and changes are refused still: %v", err)
		}
	}
	check(t, s.cmd.Process.Kill())
	s.waitForExit()
	_ = s.cmd.Wait()
	execute(t, dir, nil, "doctor").want(t, 0)
	again := serve(t, dir)
	reading, err := client.New(firstProject, firstToken, client.WithBaseURL(again.url))
	check(t, err)
	if _, err := reading.UpdateToken(t.Context(), kept.ID, client.UpdateTokenParams{}); err != nil {
		t.Errorf("the token that was acknowledged before: %v", err)
	}
	again.stop(t)
}

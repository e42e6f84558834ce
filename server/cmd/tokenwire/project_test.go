package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestProjectToken: a project whose tokens are lost gets another, also while it is served, and the others stay.
func TestProjectToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := execute(t, dir, nil, "project", "token", firstProject).want(t, 1); !strings.Contains(got.stderr, "there is no database") {
		t.Errorf("without a database: %q", got.stderr)
	}
	s := serve(t, dir, "--bootstrap-project-id", firstProject, "--bootstrap-token", firstToken)
	for id, want := range map[string]string{"nope": "must be the UUID", unknownProject(): "there is no project " + unknownProject()} {
		if got := execute(t, dir, nil, "project", "token", id).want(t, 1); !strings.Contains(got.stderr, want) || !strings.Contains(got.stderr, "project list") {
			t.Errorf("%s: stderr %q, want %q", id, got.stderr, want)
		}
	}
	call(t, execute(t, dir, nil, "project", "token", firstProject, "--base-url", s.url+"/").want(t, 0).stdout)

	var branch, made credentialsJSON
	decode(t, execute(t, dir, nil, "project", "create", "--name", "Branch", "--parent", firstProject, "--json"), &branch)
	decode(t, execute(t, dir, nil, "project", "token", branch.ProjectID, "--json"), &made)
	if made.ProjectID != branch.ProjectID || made.TokenID == branch.TokenID || made.Token == branch.Token {
		t.Errorf("%+v was made beside %+v", made, branch)
	}
	for _, token := range []string{branch.Token, made.Token} {
		env := []string{"SIGNALWIRE_PROJECT_ID=" + branch.ProjectID, "SIGNALWIRE_API_TOKEN=" + token, "TOKENWIRE_BASE_URL=" + s.url}
		execute(t, dir, env, "token", "verify", "--permission", "management").want(t, 0)
	}
	env := []string{"SIGNALWIRE_PROJECT_ID=" + firstProject, "SIGNALWIRE_API_TOKEN=" + firstToken, "TOKENWIRE_BASE_URL=" + s.url}
	events := execute(t, dir, env, "audit", "list", "--action", "token.created", "--json").want(t, 0).stdout
	if !strings.Contains(events, made.TokenID) || strings.Contains(events, made.Token) {
		t.Errorf("the audit trail has\n%s", events)
	}
}

// TestLostToken: a token that could not be printed is named, so that it can be deleted.
func TestLostToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var created credentialsJSON
	decode(t, execute(t, dir, nil, "project", "create", "--create-database", "--name", "One", "--json"), &created)
	for _, output := range []func(*testing.T) *os.File{closedPipe, fullDevice} {
		cmd := command(t, dir, nil, "project", "token", created.ProjectID)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = output(t), &stderr
		_ = cmd.Run()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "make another with tokenwire project token") {
			t.Errorf("it ended with %v: %s", cmd.ProcessState, stderr.String())
		}
	}
}

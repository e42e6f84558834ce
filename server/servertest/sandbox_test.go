package servertest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// verify asks whether a credential is good.
func verify(t *testing.T, s *servertest.Server, project, token string) error {
	t.Helper()
	c, err := client.New(project, token, client.WithBaseURL(s.URL), client.WithRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.VerifyToken(t.Context(), client.VerifyTokenParams{})
	return err
}

// expiring returns the secret of a new token that is good for an hour.
func expiring(t *testing.T, s *servertest.Server, project servertest.Project) string {
	t.Helper()
	c, err := client.New(project.ProjectID, project.Token, client.WithBaseURL(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.CreateToken(t.Context(), client.CreateTokenParams{Name: "T", Permissions: []client.Permission{client.PermissionFax}, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return token.Secret.Reveal()
}

// TestAdvanceProject: the time of one project passes, and nobody else's.
func TestAdvanceProject(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	other, err := s.NewProject("Other")
	if err != nil {
		t.Fatal(err)
	}
	here, there := expiring(t, s, s.Project), expiring(t, s, other)
	if err := s.AdvanceProject(s.Project, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := verify(t, s, s.ProjectID, here); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("after its time a token is answered %v", err)
	}
	if err := verify(t, s, other.ProjectID, there); err != nil {
		t.Errorf("another project: %v", err)
	}
	if err := s.AdvanceProject(s.Project, 201*365*24*time.Hour); err == nil {
		t.Error("201 years are not refused")
	}
}

// TestClearFaults: the calls of a project succeed again, and those of another go on to fail.
func TestClearFaults(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, &servertest.Options{InMemory: true})
	other, err := s.NewProject("Other")
	if err != nil {
		t.Fatal(err)
	}
	for _, project := range []servertest.Project{s.Project, other} {
		if err := s.AddFault(project, servertest.Fault{Operation: "verify_token", Status: 503}); err != nil {
			t.Fatal(err)
		}
	}
	if verify(t, s, s.ProjectID, s.Token) == nil {
		t.Error("the fault is not there")
	}
	if err := s.ClearFaults(s.Project); err != nil {
		t.Fatal(err)
	}
	if err := verify(t, s, s.ProjectID, s.Token); err != nil {
		t.Errorf("a fault is left: %v", err)
	}
	if verify(t, s, other.ProjectID, other.Token) == nil {
		t.Error("the fault of another project is gone")
	}
}

package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/sandbox"
	"github.com/tokenwire/tokenwire/server/store"
)

// sandboxBase is where the control surface of a sandbox begins.
const sandboxBase = "/_sandbox/"

type worldKey struct{}

// worldFrom returns the world that a request names, or nil.
func worldFrom(ctx context.Context) *sandbox.World {
	world, _ := ctx.Value(worldKey{}).(*sandbox.World)
	return world
}

// eraOf returns the era of the world that a request names, or 0.
func eraOf(ctx context.Context) uint64 {
	if world := worldFrom(ctx); world != nil {
		return world.Era()
	}
	return 0
}

// now returns the time of a request: its world's, if it names one.
func (s *Server) now(ctx context.Context) time.Time {
	now := s.config.Now()
	if world := worldFrom(ctx); world != nil {
		now = now.Add(world.Shift())
	}
	return now
}

var errNoSandbox = errors.New("the server is no sandbox")

// World returns the world of a project or subproject of a sandbox. The error wraps store.ErrNotFound when there is no such
// project.
func (s *Server) World(ctx context.Context, project uuid.UUID) (*sandbox.World, error) {
	if s.config.Sandbox == nil {
		return nil, errNoSandbox
	}
	found, err := s.config.Store.Project(ctx, project)
	if err != nil {
		return nil, err
	}
	if _, removable := s.config.Store.(store.Worlds); !removable {
		world, err := s.config.Sandbox.Ensure(found.Root())
		return world, refusedBySandbox(err)
	}
	world, ok := s.config.Sandbox.World(found.Root())
	if !ok { // it is being made, or removed
		return nil, store.ErrNotFound
	}
	return world, nil
}

// refusedBySandbox makes an answer of what package sandbox refuses.
func refusedBySandbox(err error) error {
	switch {
	case errors.Is(err, sandbox.ErrTooManyWorlds), errors.Is(err, sandbox.ErrTooManyFaults):
		return badRequest(capitalised(err.Error()))
	case errors.Is(err, sandbox.ErrClock):
		return &problem{fields: []fieldError{{bodyAttribute, invalidField, capitalised(err.Error())}}}
	}
	return err
}

func capitalised(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// enterWorld finds the world that a request names: by the user name of its credential, whether that is good or not, or by the
// account in its path.
func (s *Server) enterWorld(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		user, _, _ := r.BasicAuth()
		for _, name := range []string{user, c.Param("AccountSid"), c.Param("Sid")} {
			id, err := parseUUID(name)
			if err != nil {
				continue
			}
			waiting, cancel := context.WithTimeout(r.Context(), s.config.RequestTimeout)
			world, err := s.World(waiting, id)
			cancel()
			switch {
			case err == nil:
				c.SetRequest(r.WithContext(context.WithValue(r.Context(), worldKey{}, world)))
				return next(c)
			case !errors.Is(err, store.ErrNotFound): // without its world it would be carried out by another clock
				return s.logAccess(func(echo.Context) error { return err })(c)
			}
		}
		return next(c)
	}
}

// onlyLocal hides the control surface from other machines, and from pages of other sites in a browser on this one: they can
// send requests here, under a name of their own that leads here or across sites.
func (s *Server) onlyLocal(next echo.HandlerFunc) echo.HandlerFunc {
	browser := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		r := c.Request()
		local := isLoopback(c.RealIP()) && isLocalName(r.Host)
		if !local && !s.config.SandboxRemote {
			s.strangers.Do(func() { s.tellOfStranger(c) })
			return errNotFound
		}
		if browser.Check(r) != nil {
			return errNotFound
		}
		return next(c)
	}
}

// tellOfStranger tells the operator why who has called sees nothing, which the answer does not: it may be the operator's own test.
func (s *Server) tellOfStranger(c echo.Context) {
	s.config.Logger.WarnContext(c.Request().Context(),
		"calls below /_sandbox/ from other machines, or under other names than localhost, are answered 404; --sandbox-remote lets them in",
		"address", printable(c.RealIP(), maxAttribute), "host", printable(c.Request().Host, maxAttribute))
}

func isLoopback(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && ip.IsLoopback()
}

// isLocalName reports whether a Host header names this machine.
func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || isLoopback(host)
}

const brokenOffKey = "broken off"

// breakOff hangs up on the client when the request is done with.
func breakOff(c echo.Context) { c.Set(brokenOffKey, true) }

// hangUp is outside of everything else, so that a call whose connection breaks is logged like any other.
func hangUp(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if c.Get(brokenOffKey) != nil {
			panic(http.ErrAbortHandler) // net/http's way to close a connection without an answer
		}
		return err
	}
}

// worlds returns what the store does for a sandbox.
func (s *Server) worlds() (store.Worlds, error) {
	if s.config.Sandbox == nil {
		return nil, errNoSandbox
	}
	worlds, ok := s.config.Store.(store.Worlds)
	if !ok {
		return nil, &problem{status: http.StatusBadRequest, code: codeNotEnabled, message: "The store of this server keeps no snapshots"}
	}
	return worlds, nil
}

// keptWorld returns the world of a project, and what the store does for it.
func (s *Server) keptWorld(ctx context.Context, project uuid.UUID) (*sandbox.World, store.Worlds, error) {
	world, err := s.World(ctx, project)
	if err != nil {
		return nil, nil, err
	}
	worlds, err := s.worlds()
	return world, worlds, err
}

// CreateSandboxProject is the operation create_sandbox_project.
func (s *Server) CreateSandboxProject(
	ctx context.Context, request serverapi.CreateSandboxProjectRequestObject,
) (serverapi.CreateSandboxProjectResponseObject, error) {
	created, err := s.createWorld(ctx, *request.Body)
	if err != nil {
		return nil, err
	}
	return serverapi.CreateSandboxProject201JSONResponse{Body: created}, nil
}

// DeleteSandboxProject is the operation delete_sandbox_project.
func (s *Server) DeleteSandboxProject(
	ctx context.Context, request serverapi.DeleteSandboxProjectRequestObject,
) (serverapi.DeleteSandboxProjectResponseObject, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	world, worlds, err := s.keptWorld(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	s.WaitForUsage() // so that no use is recorded for a project that comes after it under the same ids
	if err := worlds.Remove(ctx, world.Project); err != nil {
		return nil, err
	}
	s.config.Sandbox.Remove(world)
	return serverapi.DeleteSandboxProject204Response{}, nil
}

// ResetSandboxProject is the operation reset_sandbox_project.
func (s *Server) ResetSandboxProject(
	ctx context.Context, request serverapi.ResetSandboxProjectRequestObject,
) (serverapi.ResetSandboxProjectResponseObject, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	world, worlds, err := s.keptWorld(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	snapshot, ok := world.Initial()
	if id := request.Body.SnapshotID; id != nil {
		snapshot, ok = world.Snapshot(*id)
	}
	if !ok {
		return nil, &problem{fields: []fieldError{{"snapshot_id", invalidField, "Snapshot id must be a snapshot of this project"}}}
	}
	s.WaitForUsage() // so that no use before the reset is recorded after it
	if err := worlds.Restore(ctx, snapshot.State); err != nil {
		return nil, err
	}
	world.Rewind(snapshot)
	return serverapi.ResetSandboxProject204Response{}, nil
}

// CreateSandboxSnapshot is the operation create_sandbox_snapshot.
func (s *Server) CreateSandboxSnapshot(
	ctx context.Context, request serverapi.CreateSandboxSnapshotRequestObject,
) (serverapi.CreateSandboxSnapshotResponseObject, error) {
	world, worlds, err := s.keptWorld(ctx, request.ProjectID)
	if err != nil {
		return nil, err
	}
	s.WaitForUsage() // so that the last use of a token is in it
	state, err := worlds.Snapshot(ctx, world.Project)
	if err != nil {
		return nil, err
	}
	snapshot := sandbox.Snapshot{ID: newID(), At: s.timeIn(world), State: state}
	world.Keep(snapshot)
	return serverapi.CreateSandboxSnapshot201JSONResponse{Body: serverapi.SandboxSnapshot{ID: snapshot.ID, CreatedAt: snapshot.At}}, nil
}

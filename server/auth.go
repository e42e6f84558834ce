package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// Caller is who sends a request: a project, by one of its tokens.
type Caller struct {
	ProjectID   uuid.UUID
	TokenID     uuid.UUID
	Permissions []string // see store.PermissionSet

	identity   *identity
	credential store.Credential
	// onlyReplay is a caller whose secret does not work any more: it may ask for an answer that it was given before.
	onlyReplay bool
}

func callerFrom(ctx context.Context) (Caller, bool) {
	if caller := notesOf(ctx).caller; caller != nil {
		return *caller, true
	}
	return Caller{}, false
}

// mustCaller is for operations that are never reached without authentication.
func mustCaller(ctx context.Context) (Caller, error) {
	caller, ok := callerFrom(ctx)
	if !ok {
		return Caller{}, errors.New("the request was not authenticated")
	}
	return caller, nil
}

// authenticate turns the Basic credential of a request into its Caller.
func (s *Server) authenticate(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx := c.Request().Context()
			caller, err := s.login(ctx, c.Request())
			if errors.Is(err, errCredential) && op.id == rotateToken {
				caller, err = s.repeat(ctx, c)
			}
			if errors.Is(err, errCredential) && !s.failures.allow(eraOf(ctx), c.RealIP(), s.now(ctx)) {
				closeConnection(c)
				return tooManyFailures(s.config.AuthFailuresPerMinute)
			}
			if err != nil {
				return err
			}
			s.knowClient(ctx)
			caller.credential.Permission = op.permission
			notesOf(ctx).caller = &caller
			return next(c)
		}
	}
}

// rotateToken is the operation with which a token can replace the secret that it has authenticated with.
const rotateToken = "rotate_token"

// repeat lets a token in that asks again for its own rotation, because the answer was lost: its secret does not work any more, and
// the new one is in that answer. It gets that answer, and nothing else.
func (s *Server) repeat(ctx context.Context, c echo.Context) (Caller, error) {
	user, password, _ := c.Request().BasicAuth()
	project, userErr := parseUUID(user)
	id, idErr := parseUUID(c.Param("token_id"))
	key := c.Request().Header.Get(idempotencyKey)
	if userErr != nil || idErr != nil || key == "" {
		return Caller{}, errCredential
	}
	if err := s.enter(&s.loggingIn); err != nil {
		return Caller{}, err
	}
	defer s.loggingIn.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, s.config.RequestTimeout)
	defer cancel()
	token, err := s.config.Store.TokenByRepetition(ctx, id, secret.Hash(password), project, key, s.now(ctx))
	if errors.Is(err, store.ErrNotFound) || err == nil && token.ProjectID != project {
		return Caller{}, errCredential
	}
	caller := callerOf(token)
	caller.onlyReplay = true
	return caller, err
}

func callerOf(token store.Token) Caller {
	return Caller{
		ProjectID: token.ProjectID, TokenID: token.ID, Permissions: token.Permissions,
		credential: store.Credential{SecretHash: token.SecretHash},
	}
}

// login does the same work whatever is wrong with a credential: it looks the secret up by its hash in the store, and compares
// the project afterwards.
func (s *Server) login(ctx context.Context, r *http.Request) (Caller, error) {
	user, password, ok := r.BasicAuth()
	if !ok || len(r.Header.Values(echo.HeaderAuthorization)) != 1 {
		return Caller{}, errCredential
	}
	hash := secret.Hash(password)
	now := s.now(ctx)
	projectID, parseErr := parseUUID(user)
	known, err := s.callerBySecret(ctx, projectID, hash, now)
	token := known.token
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Caller{}, err
	}
	same := subtle.ConstantTimeCompare(token.SecretHash[:], hash[:]) & subtle.ConstantTimeCompare(token.ProjectID[:], projectID[:])
	if err != nil || parseErr != nil || same != 1 {
		return Caller{}, errCredential
	}
	s.usage.note(token, eraOf(ctx), now)
	caller := callerOf(token)
	caller.identity = known.who
	return caller, nil
}

// callerBySecret looks a token up, first in what the server remembers. Who has to wait for the store takes a turn: a log-in costs as much
// as another request. Anybody can send one, and so those of whom nobody knows have turns of their own: they take none from others.
func (s *Server) callerBySecret(ctx context.Context, project uuid.UUID, hash store.SecretHash, now time.Time) (knownCaller, error) {
	if s.callers != nil {
		if known, ok := s.callers.remembered(project, hash, now); ok {
			return known, nil
		}
	}
	turns := &s.running
	if s.callers != nil && !s.callers.known.Contains(hash) {
		turns = &s.loggingIn
	}
	if err := s.enter(turns); err != nil {
		return knownCaller{}, err
	}
	defer turns.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, s.config.RequestTimeout)
	defer cancel()
	if s.callers == nil {
		token, err := s.config.Store.TokenBySecret(ctx, hash, now)
		return knownCaller{token: token, who: identityOf(token)}, err
	}
	return s.callers.ask(ctx, project, hash, now)
}

// parseUUID accepts the one written form that the contract has; uuid.Parse alone accepts four.
func parseUUID(text string) (uuid.UUID, error) {
	if len(text) != 36 {
		return uuid.Nil, errors.New("a UUID has 36 characters")
	}
	return uuid.Parse(text)
}

// maxAddresses bounds the memory of a failureLimiter. An address that was forgotten starts anew.
const maxAddresses = 10_000

// failureLimiter counts the failed log-ins of each address; in a sandbox, those of each world, so that tests that share a server do
// not see each other's. It allows perMinute at once, and as many in each minute after that.
type failureLimiter struct {
	perMinute int
	addresses *lru.Cache[failing, *rate.Limiter]
}

// failing is an address that fails to log in to a world of this era, or 0.
type failing struct {
	era     uint64
	address netip.Prefix
}

func newFailureLimiter(perMinute int) (*failureLimiter, error) {
	addresses, err := lru.New[failing, *rate.Limiter](maxAddresses)
	return &failureLimiter{perMinute, addresses}, err
}

// allow reports whether one more failure from this address is within its limit.
func (l *failureLimiter) allow(era uint64, address string, now time.Time) bool {
	who := failing{era, network(address)}
	limiter, known := l.addresses.Get(who)
	if !known {
		limiter = rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)
		if earlier, ok, _ := l.addresses.PeekOrAdd(who, limiter); ok {
			limiter = earlier // of another request that came at the same time
		}
	}
	return limiter.AllowN(now, 1)
}

// network returns what counts as one address: a customer of IPv6 has a /64 of them.
func network(address string) netip.Prefix {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // cannot fail: bits fits the address
	return prefix
}

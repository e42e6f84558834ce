package contract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/client/internal/reach"
)

const (
	compatBase = "/api/laml/2010-04-01"
	accounts   = compatBase + "/Accounts"
	nativeBase = "/api/project/tokens"

	// namePrefix begins the name of everything that the suite makes.
	namePrefix = "tokenwire-contract-"
	// cleanupTimeout bounds the deletion of what a case has made, and of what is left at the end.
	cleanupTimeout = 30 * time.Second
)

// suite is one run.
type suite struct {
	config Config
	base   string // the base URL without a slash at its end
	client *http.Client
	spec   *spec
	name   string // namePrefix and what is random in this run

	variable []variable    // what a recording leaves out
	secrets  *redactor     // what nobody may see
	patience time.Duration // how long the run may still wait because it is told to
	room     int           // how many bytes of bodies may still be recorded

	created  map[string]bool // the tokens that the case which runs has made
	left     map[string]bool // the tokens of earlier cases that could not be deleted
	children []string        // the subprojects that were made or found
}

func newSuite(config Config) (*suite, error) {
	base, err := url.Parse(config.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, errors.New("the base URL must be http or https, with a host and without a credential")
	}
	if config.ProjectID == "" || config.Token == "" {
		return nil, errors.New("the credential is missing: a Project ID and an API token")
	}
	contract, err := contractSpec()
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	name := namePrefix + uuid.NewString()[:8]
	return &suite{
		config: config, base: strings.TrimRight(config.BaseURL, "/"), client: newClient(config.HTTPClient), spec: contract,
		name: name, variable: variables(name), created: map[string]bool{}, left: map[string]bool{}, room: maxRecording,
		secrets: newRedactor(credential{config.ProjectID, config.Token}),
	}, nil
}

func newClient(given *http.Client) *http.Client {
	client := http.Client{}
	if given != nil {
		client = *given
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		client.Transport = transport.Clone() // so that closing idle connections is nobody else's business
	}
	client.Timeout = cmp.Or(client.Timeout, 30*time.Second)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

func (s *suite) own() credential { return credential{s.config.ProjectID, s.config.Token} }

// preflight finds out whether there is a point in running the cases.
func (s *suite) preflight(ctx context.Context) error {
	got, err := s.exchange(ctx, &call{method: http.MethodGet, path: accounts + "?PageSize=1", credential: s.own()})
	if err != nil {
		return notReached(err)
	}
	scheme, _, _ := strings.Cut(s.base, ":")
	if advice := reach.AdviceOnAnswer(strings.ToLower(scheme), got.status, got.body); advice != "" {
		return errors.New(advice)
	}
	switch {
	case got.status == http.StatusTooManyRequests:
		return errors.New("the server answers 429, too many requests: try again later")
	case got.status == http.StatusUnauthorized || got.status == http.StatusForbidden:
		return fmt.Errorf("the server refuses the credential, or it lacks the permission management: %d %s", got.status, got.excerpt(s))
	case got.status == http.StatusNotFound || got.status >= 300 && got.status < 400:
		return fmt.Errorf("there is no such API at %s: GET %s is answered %d", s.base, accounts, got.status)
	}
	account, err := s.exchange(ctx, &call{method: http.MethodGet, path: accounts + "/" + s.config.ProjectID, credential: s.own()})
	if err != nil {
		return notReached(err)
	}
	if account.status == http.StatusOK && account.lookup("subproject") == true {
		return errors.New("the credential is a subproject's, and the cases need a top-level project")
	}
	return nil
}

func notReached(err error) error {
	if advice := reach.Advice(err); advice != "" {
		return fmt.Errorf("the server cannot be reached: %w; %s", err, advice)
	}
	return fmt.Errorf("the server cannot be reached: %w", err)
}

// runCase runs a case in a goroutine of its own, which a step that fails ends. It returns what was said, if that is wanted.
func (s *suite) runCase(ctx context.Context, c Case) (Result, *RecordedCase) {
	start := time.Now()
	t := &trial{suite: s, ctx: ctx, id: c.ID}
	if s.config.Record && !c.varies {
		t.recorder = newRecorder(s, c.ID)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if reason := recover(); reason != nil {
				t.failure = &Failure{Message: fmt.Sprintf("the case itself failed: %v", reason)}
			}
		}()
		c.run(t)
	}()
	<-done
	s.deleteCreated(ctx)
	return Result{Case: c, Failure: s.secrets.failure(t.failure), Duration: time.Since(start)}, t.recorder.done()
}

// track notes a token that was created. A server that returns the run's own token for a new one must not make us delete it.
func (s *suite) track(ex *exchange) {
	path, _, _ := strings.Cut(ex.call.path, "?")
	if ex.call.method != http.MethodPost || ex.status >= 300 || !strings.HasSuffix(strings.TrimSuffix(path, ".json"), "/tokens") {
		return
	}
	id, ok := ex.lookup("id").(string)
	if ok && uuid.Validate(id) == nil && ex.lookup("token") != s.config.Token {
		s.created[id] = true
	}
}

// deleteCreated deletes what a case has made, also when ctx has ended.
func (s *suite) deleteCreated(ctx context.Context) {
	maps.Copy(s.left, s.deleteTokens(ctx, s.created))
	clear(s.created)
}

// deleteLeft tries once more to delete what could not be deleted, and returns the ids of what still could not.
func (s *suite) deleteLeft(ctx context.Context) []string {
	s.left = s.deleteTokens(ctx, s.left)
	return slices.Sorted(maps.Keys(s.left))
}

// deleteTokens deletes tokens, for a while, and returns those that it could not delete.
func (s *suite) deleteTokens(ctx context.Context, ids map[string]bool) map[string]bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	left := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if !s.deleteToken(ctx, accounts+"/"+s.config.ProjectID+"/tokens/"+id) && !s.deleteToken(ctx, nativeBase+"/"+id) {
			left[id] = true
		}
	}
	return left
}

func (s *suite) deleteToken(ctx context.Context, path string) bool {
	got, err := s.exchange(ctx, &call{method: http.MethodDelete, path: path, credential: s.own()})
	return err == nil && (got.status == http.StatusNoContent || got.status == http.StatusNotFound)
}

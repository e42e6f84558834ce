package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"

	// maxAnswer bounds what is read of an answer, in bytes. A page of 1000 accounts has about 2 MB.
	maxAnswer = 4 << 20
	// These bound the patience with a server that says when to come back: how often and how long for one request, and how
	// long in a run.
	maxWaits    = 3
	maxWait     = time.Minute
	maxPatience = 5 * time.Minute
)

// credential is a user name and a password. The zero value is none.
type credential struct{ project, secret string }

// call is a request.
type call struct {
	trial      *trial
	method     string
	path       string // with its query, and escaped as it is sent
	credential credential
	header     http.Header
	body       *string // nil: none
}

// exchange is a request and its answer.
type exchange struct {
	call    *call
	status  int
	header  http.Header
	body    []byte
	decoded any // nil unless the body is JSON
}

// exchange sends a request. The context's end does not cut it short: an answer that is never seen could have made something.
// The client's timeout bounds it.
func (s *suite) exchange(ctx context.Context, c *call) (*exchange, error) {
	for waits := 0; ; waits++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := s.send(context.WithoutCancel(ctx), c)
		if err != nil {
			return nil, err
		}
		s.secrets.learnFrom(got)
		pause, told := got.retryAfter()
		if !told || waits == maxWaits || s.patience <= 0 {
			s.track(got)
			return got, nil
		}
		s.patience -= pause
		wait(ctx, pause)
	}
}

// retryAfter is how long the server asks to be left alone, if it does. It has done nothing then, so that any request can be
// sent again.
func (ex *exchange) retryAfter() (time.Duration, bool) {
	text := ex.header.Get("Retry-After")
	if ex.status != http.StatusTooManyRequests {
		return 0, false
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(time.Until(at), maxWait)), true
	}
	seconds, err := strconv.ParseInt(text, 10, 64) // what is too large for it is the largest that there is
	if err != nil && !errors.Is(err, strconv.ErrRange) || seconds < 0 {
		return 0, false
	}
	return time.Duration(min(seconds, int64(maxWait/time.Second))) * time.Second, true
}

// wait returns when the time has passed or the context has ended.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (s *suite) send(ctx context.Context, c *call) (*exchange, error) {
	if !strings.HasPrefix(c.path, "/") { // else it would go on with the host's name, and the credential go there
		return nil, fmt.Errorf("the link %q is no path", c.path)
	}
	var body io.Reader
	if c.body != nil {
		body = strings.NewReader(*c.body)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, s.base+c.path, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, c.header)
	request.Header.Set("User-Agent", "tokenwire-contract")
	if c.credential != (credential{}) {
		request.SetBasicAuth(c.credential.project, c.credential.secret)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxAnswer {
		return nil, fmt.Errorf("the answer has more than %d bytes; it began with HTTP %d", maxAnswer, response.StatusCode)
	}
	return &exchange{call: c, status: response.StatusCode, header: response.Header, body: content, decoded: decodeJSON(content)}, nil
}

// lookup returns a member of the body by its path, such as "errors.0.code", and nil where there is none.
func (ex *exchange) lookup(path string) any {
	value := ex.decoded
	for name := range strings.SplitSeq(path, ".") {
		switch container := value.(type) {
		case map[string]any:
			value = container[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(container) {
				return nil
			}
			value = container[i]
		default:
			return nil
		}
	}
	return value
}

package crashtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tokenwire/tokenwire"
)

// answers is the way to a server. It counts the answers, and holds those that are failures against the contract: all that may fail
// is the database.
type answers struct {
	transport *http.Transport
	// unavailable reads the contract when it is needed first.
	unavailable func() (*openapi3.Response, error)

	mu       sync.Mutex
	refused  int // 503, as documented
	improper []string
}

func newAnswers() *answers {
	return &answers{
		transport: &http.Transport{MaxIdleConnsPerHost: 4 * workers},
		unavailable: sync.OnceValues(func() (*openapi3.Response, error) {
			document, err := openapi3.NewLoader().LoadFromData([]byte(tokenwire.OpenAPI()))
			if err != nil {
				return nil, err
			}
			return document.Components.Responses["Unavailable"].Value, nil
		}),
	}
}

// RoundTrip sends a request.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := a.transport.RoundTrip(r)
	if err != nil || answer.StatusCode < http.StatusInternalServerError {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if err == nil {
		err = a.check(answer, body)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.improper = append(a.improper, fmt.Sprintf("%s %s was answered %s: %v\n%s", r.Method, r.URL.Path, answer.Status, err, body))
	} else {
		a.refused++
	}
	return answer, nil
}

func (a *answers) check(answer *http.Response, body []byte) error {
	if answer.StatusCode != http.StatusServiceUnavailable {
		return fmt.Errorf("want %d when the database does not answer", http.StatusServiceUnavailable)
	}
	documented, err := a.unavailable()
	if err != nil {
		return err
	}
	for name, header := range documented.Headers {
		value, err := any(answer.Header.Get(name)), error(nil)
		if header.Value.Schema.Value.Type.Is(openapi3.TypeInteger) {
			err = json.Unmarshal([]byte(answer.Header.Get(name)), &value)
		}
		if err == nil {
			err = header.Value.Schema.Value.VisitJSON(value)
		}
		if err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	return documented.Content.Get("application/json").Schema.Value.VisitJSON(value)
}

// CloseIdleConnections is for http.Client.
func (a *answers) CloseIdleConnections() { a.transport.CloseIdleConnections() }

// refusals returns how many answers were 503, and what was wrong with other failures.
func (a *answers) refusals() (int, []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused, append([]string{}, a.improper...)
}

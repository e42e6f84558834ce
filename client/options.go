package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	defaultRetries = 3
	maxRetries     = 10
)

// Option configures a [Client]. When an option is given twice, the last one counts.
type Option func(*config) error

// config collects what the options say.
type config struct {
	space        *url.URL
	baseURL      *url.URL
	insecureHTTP bool
	httpClient   *http.Client
	timeout      time.Duration // 0: not given
	retries      int
	userAgent    string
	wait         func(context.Context, time.Duration) error
}

func newConfig(opts []Option) (*config, error) {
	cfg := &config{retries: defaultRetries, wait: wait}
	for _, opt := range opts {
		if err := opt(cfg); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// WithSpace selects a Space at SignalWire, by its name ("example") or its host
// ("example.signalwire.com"); both mean https://example.signalwire.com. The host may also be written as a
// URL, since SIGNALWIRE_SPACE_URL often is.
func WithSpace(space string) Option {
	return func(cfg *config) error {
		u, err := parseSpace("WithSpace", space)
		cfg.space = u
		return err
	}
}

// WithBaseURL selects a server by its base URL, for example http://127.0.0.1:8080. A path is kept, and
// the API's own paths, such as /api/laml, are appended to it. The URL must be http or https, without user information, query
// and fragment; http is for this machine only, unless [WithInsecureHTTP] is given too.
func WithBaseURL(baseURL string) Option {
	return func(cfg *config) error {
		u, err := parseBaseURL(baseURL)
		cfg.baseURL = u
		return err
	}
}

// WithInsecureHTTP allows plain HTTP to hosts other than localhost and loopback addresses. Whoever can
// read the traffic then reads the API token. It is meant for networks that encrypt underneath, and for the
// containers of a test.
func WithInsecureHTTP() Option {
	return func(cfg *config) error {
		cfg.insecureHTTP = true
		return nil
	}
}

// WithHTTPClient sends requests through hc: its transport, cookie jar and timeout. The struct is copied
// and never changed. Its CheckRedirect is not used, because redirects are not followed.
func WithHTTPClient(hc *http.Client) Option {
	return func(cfg *config) error {
		if hc == nil {
			return &ArgumentError{Argument: "WithHTTPClient", Reason: "the client is nil"}
		}
		cfg.httpClient = hc
		return nil
	}
}

// WithTimeout limits each attempt, from the connection to the last byte of the answer. The default is the
// timeout of the client in [WithHTTPClient] or, if it has none, 30 seconds. A call with retries takes
// longer than one attempt; limit the whole with the context.
func WithTimeout(d time.Duration) Option {
	return func(cfg *config) error {
		if d <= 0 {
			return &ArgumentError{Argument: "WithTimeout", Reason: "must be positive"}
		}
		cfg.timeout = d
		return nil
	}
}

// WithRetries sets how often a failed update or deletion is repeated: 0 to 10 times, by default 3. The
// package documentation says when that happens.
func WithRetries(n int) Option {
	return func(cfg *config) error {
		if n < 0 || n > maxRetries {
			return &ArgumentError{Argument: "WithRetries", Reason: fmt.Sprintf("must be 0 to %d", maxRetries)}
		}
		cfg.retries = n
		return nil
	}
}

// WithUserAgent puts the name of your program, such as "billing/2.1", in front of this package's own in
// the User-Agent header. It must consist of printable ASCII characters.
func WithUserAgent(userAgent string) Option {
	return func(cfg *config) error {
		notPrintable := func(r rune) bool { return r < ' ' || r > '~' }
		if strings.TrimSpace(userAgent) == "" || strings.ContainsFunc(userAgent, notPrintable) {
			return &ArgumentError{Argument: "WithUserAgent", Reason: "must be printable ASCII and not blank"}
		}
		cfg.userAgent = userAgent
		return nil
	}
}

// client returns the HTTP client to use, which is always a copy.
func (cfg *config) client() *http.Client {
	var hc http.Client
	if cfg.httpClient != nil {
		hc = *cfg.httpClient
	}
	if cfg.timeout > 0 {
		hc.Timeout = cfg.timeout
	}
	if hc.Timeout == 0 {
		hc.Timeout = defaultTimeout
	}
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &hc
}

package guard

import (
	"errors"
	"strings"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

const (
	defaultLifetime = time.Second
	maxLifetime     = time.Minute
	defaultSize     = 10_000
	defaultTimeout  = 5 * time.Second
)

// Option configures a [Guard]. When an option is given twice, the last one counts.
type Option func(*config) error

// config collects what the options say.
type config struct {
	lifetime time.Duration
	size     int
	timeout  time.Duration
	public   string
	client   []client.Option

	authorization bool
}

// WithLifetime sets how long a good credential is believed without asking again: up to a minute, by default a second. A token
// that was deleted may be let in for so long. With 0 every request is asked about.
func WithLifetime(d time.Duration) Option {
	return func(cfg *config) error {
		if d < 0 || d > maxLifetime {
			return errors.New("WithLifetime: must be from 0 to 1 minute")
		}
		cfg.lifetime = d
		return nil
	}
}

// WithMemory sets how many credentials are remembered at most; by default 10,000. Those that were used longest ago make room.
func WithMemory(credentials int) Option {
	return func(cfg *config) error {
		if credentials < 1 {
			return errors.New("WithMemory: must be at least 1")
		}
		cfg.size = credentials
		return nil
	}
}

// WithTimeout sets how long to wait for tokenwire's answer before the request gets 503; by default 5 seconds.
func WithTimeout(d time.Duration) Option {
	return func(cfg *config) error {
		if d <= 0 {
			return errors.New("WithTimeout: must be positive")
		}
		cfg.timeout = d
		return nil
	}
}

// WithPublicURL sets the URL under which callers reach tokenwire, where it is not the base URL. Errors link to their
// explanation below it.
func WithPublicURL(url string) Option {
	return func(cfg *config) error {
		if url == "" {
			return errors.New("WithPublicURL: empty")
		}
		cfg.public = strings.TrimRight(url, "/")
		return nil
	}
}

// WithAuthorization lets the handler have the Authorization header, with the secret in it. By default it does not get it.
// One that hands the request on, or asks another guard, may need it.
func WithAuthorization() Option {
	return func(cfg *config) error {
		cfg.authorization = true
		return nil
	}
}

// WithClient sets how tokenwire is called, by options of package client such as [client.WithHTTPClient] for a certificate of your own,
// or [client.WithInsecureHTTP] for plain HTTP to another machine.
func WithClient(options ...client.Option) Option {
	return func(cfg *config) error {
		cfg.client = append(cfg.client, options...)
		return nil
	}
}

package client

import (
	"context"
	"net/http"
	"time"
)

// WithWait replaces the waiting between attempts, so that tests take no time.
func WithWait(wait func(context.Context, time.Duration) error) Option {
	return func(cfg *config) error {
		cfg.wait = wait
		return nil
	}
}

// Wait is what waits between attempts outside of tests.
func Wait(ctx context.Context, d time.Duration) error { return wait(ctx, d) }

// RetryAfter exposes the header's parser.
func RetryAfter(h http.Header, now time.Time) time.Duration { return retryAfter(h, now) }

// DecodeError returns the error for an answer.
func (c *Client) DecodeError(req *http.Request, resp *http.Response) *Error {
	return c.answerError(operation{name: "test"}, req, resp)
}

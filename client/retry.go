package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	firstPause    = 500 * time.Millisecond
	longestPause  = 10 * time.Second
	maxRetryAfter = time.Minute
)

// do runs an operation, repeats it where that is allowed and may help, and returns the body of the success.
func (c *Client) do(ctx context.Context, op operation) ([]byte, error) {
	pauses := newPauses()
	for attempt := 0; ; attempt++ {
		body, err := c.attempt(ctx, op)
		if op.removes && attempt > 0 && errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		if err == nil || !op.repeatable || attempt >= c.retries || !mayPass(err) {
			return body, err
		}
		pause, ok := pauseAfter(ctx, err, pauses.NextBackOff())
		if !ok {
			return nil, err
		}
		if ended := c.wait(ctx, pause); ended != nil {
			return nil, fmt.Errorf("%w while waiting to repeat: %w", ended, err)
		}
	}
}

// newPauses returns the pauses of one call; the type is not safe for concurrent use.
func newPauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = firstPause
	b.Multiplier = 2
	b.RandomizationFactor = 0.5
	b.MaxInterval = longestPause
	b.Reset()
	return b
}

// mayPass reports whether the same request may succeed a moment later.
func mayPass(err error) bool {
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.Status == http.StatusTooManyRequests || isUnavailable(answer.Status)
	}
	connection, ok := errors.AsType[*connectionError](err)
	return ok && !isPermanent(connection.err)
}

// isPermanent recognizes failures to connect that only a change of configuration mends. Anything else is
// taken for temporary, because net/http keeps many of its connection errors to itself.
func isPermanent(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		network     *net.OpError
		dns         *net.DNSError
	)
	switch {
	case errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return true
	case errors.As(err, &dns):
		return dns.IsNotFound
	case errors.As(err, &network):
		// crypto/tls labels alerts so: "remote" ones came from the server, "local" ones went to it.
		return network.Op == "remote error" || network.Op == "local error"
	}
	return false
}

// pauseAfter returns the longer of the back-off and what the server asks for, and false if it is too long.
func pauseAfter(ctx context.Context, err error, pause time.Duration) (time.Duration, bool) {
	if answer, ok := errors.AsType[*Error](err); ok {
		if answer.RetryAfter > maxRetryAfter {
			return 0, false
		}
		pause = max(pause, answer.RetryAfter)
	}
	deadline, ok := ctx.Deadline()
	return pause, !ok || time.Until(deadline) > pause
}

// retryAfter reads the header Retry-After (RFC 9110, 10.2.3): a number of seconds, or a date, which is
// compared with the server's own clock if the answer shows it. It returns 0 for all else.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const maxSeconds = 1 << 31 // about 68 years; more would overflow a Duration
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(max(seconds, 0), maxSeconds)) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return max(date.Sub(now), 0)
}

// wait returns after d, or with the context's error as soon as that ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tokenwire/tokenwire/client/internal/reach"
)

// maxAnswer bounds the body of a success: a page of a thousand accounts with long names has about 3 MiB.
const maxAnswer = 16 << 20

// operation is one call of the API.
type operation struct {
	name string
	// request builds the request anew for each attempt, since an attempt consumes the body.
	request func() (*http.Request, error)
	// repeatable says that doing it twice does no harm.
	repeatable bool
	// removes says that a 404 to a repetition means success, and that the body of a success is of no interest.
	removes bool
	// succeeded, unless it is nil, gets the headers of a success.
	succeeded func(http.Header)
}

// connectionError is an attempt that got no answer, or not all of it.
type connectionError struct {
	op  string
	err error
}

func (e *connectionError) Error() string {
	text := e.op + ": " + e.err.Error()
	if advice := reach.Advice(e.err); advice != "" {
		text += "; " + advice
	}
	return text
}

func (e *connectionError) Unwrap() error { return e.err }

// attempt sends the request once and returns the body of a success. Its errors are [*Error],
// *connectionError, or what no repetition can mend.
func (c *Client) attempt(ctx context.Context, op operation) ([]byte, error) {
	req, err := op.request()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op.name, err)
	}
	req = req.WithContext(ctx)
	req.SetBasicAuth(c.projectID, c.apiToken.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if !op.repeatable {
		// net/http sends a request again on another connection when it believes that the server has not
		// seen it, but only if it can rewind the body. Without GetBody it cannot.
		req.GetBody = nil
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, failure(ctx, op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		return nil, c.answerError(op, req, resp)
	}
	if op.succeeded != nil {
		op.succeeded(resp.Header)
	}
	if op.removes {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, failure(ctx, op, fmt.Errorf("reading the answer: %w", err))
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("%s: the answer is larger than %d bytes", op.name, maxAnswer)
	}
	return body, nil
}

// failure tells a context that ended from a connection that failed. net/http reports the cause of a
// context, which the caller chose; the caller compares with context.Canceled or DeadlineExceeded all the same.
func failure(ctx context.Context, op operation, err error) error {
	ended := ctx.Err()
	switch {
	case ended == nil:
		return &connectionError{op: op.name, err: err}
	case errors.Is(err, ended):
		return fmt.Errorf("%s: %w", op.name, err)
	}
	return fmt.Errorf("%s: %w: %w", op.name, ended, err)
}

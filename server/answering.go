package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What an answer may cost that its client does not take. Some answers are large and need no credential.
const (
	// answerStep is how much of an answer has to be taken in answerTimeout.
	answerStep    = 16 << 10
	answerTimeout = 5 * time.Second
	// buffered is what net/http keeps of an answer over HTTP/2 until the end, for which a client may take endTimeout.
	buffered   = 4 << 10
	endTimeout = 5 * time.Second
)

// errNotTaken says that the client has hung up in an answer, or was cut off because it did not take it.
var errNotTaken = errors.New("the client has not taken the answer")

// hurryAnswers cuts off who does not take an answer. Who is slow to take a large one can be given up for others meanwhile, as if the
// connection were without a request: nothing is being carried out for it any more.
func (s *Server) hurryAnswers(next func(*answering, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next(&answering{
			ResponseWriter: w, proto: r.ProtoMajor, own: streamsIn(r.Context()),
			timeout: s.answerTimeout, end: time.Now().Add(s.writeTimeout),
		}, r)
	})
}

// answering is an answer on its way.
type answering struct {
	http.ResponseWriter
	proto   int // 1 or 2
	own     *streamsOf
	timeout time.Duration // for a step
	end     time.Time     // when it has to be there, however fast the client is
	steps   int
}

// Unwrap lets http.ResponseController find what is below.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader begins the answer.
func (a *answering) WriteHeader(status int) {
	if a.proto == 1 {
		a.hurry()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write writes step by step.
func (a *answering) Write(text []byte) (int, error) {
	written := 0
	for {
		if a.steps++; a.steps == 2 {
			a.isLong()
		}
		if a.proto == 1 || a.steps > 1 || len(text) > buffered {
			a.hurry()
		}
		n, err := a.ResponseWriter.Write(text[written:min(len(text), written+answerStep)])
		if written += n; err != nil {
			return written, fmt.Errorf("%w: %w", errNotTaken, err)
		}
		if written == len(text) {
			return written, nil
		}
	}
}

// hurry gives the client its time for a step.
func (a *answering) hurry() {
	end := time.Now().Add(a.timeout)
	if end.After(a.end) {
		end = a.end
	}
	_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(end) // a test has no connection
}

// leave waits until an answer over HTTP/2 has left: net/http would do so when nobody counts its request any more. Who does not take it
// loses the connection, which is not without a request until then.
func (a *answering) leave(timeout time.Duration) {
	if a.steps == 0 {
		return // there is nothing to take
	}
	tooLate := time.AfterFunc(timeout, func() { _ = a.own.conn.Close() })
	defer tooLate.Stop()
	_ = http.NewResponseController(a.ResponseWriter).Flush() // there is nobody to tell
}

// isLong lets the connection be given up.
func (a *answering) isLong() { a.own.connections.answering(a.own.conn, a.proto == 2) }

// isNotTaken reports whether an error is the client's, who has gone from an answer that was on its way.
func isNotTaken(ctx context.Context, err error, begun bool) bool {
	return errors.Is(err, errNotTaken) || begun && ctx.Err() != nil
}

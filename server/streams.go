package server

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// What a connection of HTTP/2 may cost. It has many requests at once, and none of them has to have a credential.
const (
	maxStreams    = 4        // requests at once
	maxFrameSize  = 16 << 10 // the least there is: each connection keeps room for the largest that it has had
	receiveBuffer = 64 << 10 // of what is not read yet: for one request, and for all of them
)

// http2Config goes with them.
func http2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrameSize,
		MaxReceiveBufferPerConnection: receiveBuffer, MaxReceiveBufferPerStream: receiveBuffer,
	}
}

// streamsOf is about the requests of one connection.
type streamsOf struct {
	connections *connections
	conn        net.Conn

	running   atomic.Int64
	leaving   atomic.Int64 // they are done with, and their answers have not left
	slow      atomic.Int64 // those of the running ones whose bodies have been waited for, for long
	countSlow func()       // counts one more of them
	known     atomic.Bool  // somebody has logged in by it
}

type streamsKey struct{}

// know lets a request find its connection.
func (c *connections) know(ctx context.Context, conn net.Conn) context.Context {
	own := &streamsOf{connections: c, conn: conn}
	own.countSlow = func() {
		own.slow.Add(1)
		c.settle(own)
	}
	return context.WithValue(ctx, streamsKey{}, own)
}

// streamsIn returns the requests of the connection by which one has come; nil in a test without one.
func streamsIn(ctx context.Context) *streamsOf {
	own, _ := ctx.Value(streamsKey{}).(*streamsOf)
	return own
}

// begin counts one more request, and reports whether it shares its connection. The answers of two that came before it may be
// leaving still, so that who sends one request after the other is alone.
func (c *streamsOf) begin() bool {
	shared := c.running.Add(1) > 1
	c.settle()
	return shared || c.leaving.Load() > 2
}

// finish counts a request among those whose answers have not left.
func (c *streamsOf) finish() {
	c.leaving.Add(1)
	c.running.Add(-1)
	c.settle()
}

// answerLeft is told when the answer to a request is gone.
func (c *streamsOf) answerLeft() {
	c.leaving.Add(-1)
	c.connections.settle(c)
}

// awaitBody lets a connection be given up when the body of a request does not come: nothing is being carried out for it. With HTTP/2 that
// holds when it is so with all requests. bodyArrived is to be called when the body is there.
func (c *streamsOf) awaitBody() *time.Timer { return time.AfterFunc(patience, c.countSlow) }

func (c *streamsOf) bodyArrived(slow *time.Timer) {
	if !slow.Stop() {
		c.slow.Add(-1)
		c.connections.settle(c)
	}
}

// settle looks again whether something is being carried out, where there are requests that wait for the client.
func (c *streamsOf) settle() {
	if c.slow.Load() != 0 || c.leaving.Load() != 0 {
		c.connections.settle(c)
	}
}

// waitsForClient reports whether nothing is being carried out: all requests wait for their bodies, or until their answers are taken. Those
// of HTTP/1.1 are not counted: there is one at a time.
func (c *streamsOf) waitsForClient() bool {
	slow := c.slow.Load()
	return slow+c.leaving.Load() > 0 && slow >= c.running.Load()
}

// knowClient notes that somebody has logged in by the connection of a request.
func (s *Server) knowClient(ctx context.Context) {
	if own := streamsIn(ctx); own != nil && !own.known.Load() && own.known.CompareAndSwap(false, true) {
		own.connections.loggedIn(own.conn)
	}
}

// countStreams counts the requests of HTTP/2 that share a connection, each until its answer has left. When there are too many, one
// more is refused (shedStreams); when there are too many refusals even, it is broken off. Who is alone on a connection always gets
// in: there are no more of them than connections, as with HTTP/1.1.
func (s *Server) countStreams(next http.Handler) func(*answering, *http.Request) {
	limit := int64(s.config.MaxRequests + s.config.MaxRequests/4)
	carryOut := func(own *streamsOf, shared bool, w http.ResponseWriter, r *http.Request) {
		defer own.finish()
		if shared && s.crowd.Load() > limit {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	}
	return func(a *answering, r *http.Request) {
		if a.proto != 2 {
			next.ServeHTTP(a, r)
			return
		}
		shared := a.own.begin()
		defer a.own.answerLeft()
		if shared {
			s.crowd.Add(1)
			defer s.crowd.Add(-1)
			r = r.WithContext(context.WithValue(r.Context(), sharedKey{}, true))
		}
		carryOut(a.own, shared, a, r)
		clear(r.Header) // it is the largest thing that would stay as long as the answer
		a.leave(s.endTimeout)
	}
}

type sharedKey struct{}

// shedStreams refuses a request that is in too large a crowd, before it costs anything.
func (s *Server) shedStreams(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.crowd.Load() > int64(s.config.MaxRequests) && c.Request().Context().Value(sharedKey{}) != nil {
			closeConnection(c)
			return errOverloaded
		}
		return next(c)
	}
}

// closeConnection ends a connection of HTTP/2 when its requests are answered: who has many of them, and should not, has to begin
// again. One of HTTP/1.1 costs more to open than to keep.
func closeConnection(c echo.Context) {
	if c.Request().ProtoMajor == 2 {
		c.Response().Header().Set(echo.HeaderConnection, "close")
	}
}

package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/store"
)

// overHTTP1 logs in, if there is an authorization, and takes the beginning of large answers. The function that it returns takes the
// rest, and reports whether the connection was closed.
func overHTTP1(t *testing.T, s overTLS, authorization string) func() bool {
	t.Helper()
	conn := s.dial(t, "http/1.1")
	login := "GET " + s.path + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + authorization + "\r\n\r\n"
	if authorization == "" {
		login = ""
	}
	// More often than the system keeps for it.
	if _, err := conn.Write([]byte(login + strings.Repeat("GET "+largestAnswer+" HTTP/1.1\r\nHost: x\r\n\r\n", 20))); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, conn, 64<<10); err != nil { // more than the first step
		t.Fatal(err)
	}
	return func() bool {
		_, err := io.Copy(io.Discard, conn)
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
}

// overHTTP2 does the same with one answer, or two at once.
func overHTTP2(answers int) func(*testing.T, overTLS, string) func() bool {
	return func(t *testing.T, s overTLS, authorization string) func() bool {
		t.Helper()
		client := s.unwilling(t, 64<<10)
		if authorization != "" {
			client.ask(t, http.MethodGet, s.path, authorization)
			if status := client.status(t); status != "200" {
				t.Fatalf("the log-in was answered %s", status)
			}
		}
		for range answers {
			client.ask(t, http.MethodGet, largestAnswer, "")
			client.take(t, 32<<10)
		}
		return func() bool {
			if err := client.WriteWindowUpdate(client.stream, 1<<28); err != nil {
				return true
			}
			var cutOff error
			for cutOff == nil {
				var frame http2.Frame
				if frame, cutOff = client.ReadFrame(); frame != nil && frame.Header().StreamID == client.stream && frame.Header().Flags.Has(http2.FlagDataEndStream) {
					return false
				}
			}
			return !errors.Is(cutOff, os.ErrDeadlineExceeded)
		}
	}
}

// TestLongAnswers: who takes a long answer slowly is as one who asks for nothing. A stranger goes at once, and others when they have
// waited for longest; not one who has logged in over HTTP/2, whose other requests may be carried out.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		take     func(t *testing.T, s overTLS, authorization string) func() bool
		stranger bool
		idle     string // since when another connection is, if there is one
		goes     string
	}{
		"a stranger over HTTP/1.1":           {overHTTP1, true, "before", "answer"},
		"a stranger over HTTP/2":             {overHTTP2(1), true, "before", "answer"},
		"a stranger with two of them":        {overHTTP2(2), true, "", "answer"},
		"who has logged in, over HTTP/1.1":   {overHTTP1, false, "", "answer"},
		"who has logged in, over HTTP/2":     {overHTTP2(1), false, "after", "idle"},
		"who has logged in, two over HTTP/2": {overHTTP2(2), false, "after", "idle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connections := 2
			if c.idle == "" {
				connections = 1
			}
			s := startTLS(t, server.Config{MaxConnections: connections}, func(s store.Store) store.Store { return s })
			s.server.SetTimeouts(time.Hour, time.Hour) // which are not what closes it
			idle, opened := s.connect(t)
			logIn := func(when string) {
				if when != c.idle {
					return
				}
				if status, err := s.get(t, idle, s.secret); status != http.StatusOK {
					t.Fatal(status, err)
				}
			}
			authorization := s.authorization()
			if c.stranger {
				authorization = ""
			}
			logIn("before")
			isClosed := c.take(t, s, authorization)
			logIn("after")
			for range 3 - connections { // a second one takes the place of the first
				s.comeIn(t)
			}
			if closed := isClosed(); closed != (c.goes == "answer") {
				t.Errorf("the connection with the answer was closed: %v", closed)
			}
			if logIn(c.idle); c.idle != "" && (opened.Load() == 2) != (c.goes == "idle") {
				t.Errorf("the other one is at connection %d", opened.Load())
			}
		})
	}
}

// TestAnswersThatTakeTooLong: an answer ends when it has taken too long, however much time there is for each step of it.
func TestAnswersThatTakeTooLong(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{}, func(s store.Store) store.Store { return s })
	s.server.SetTimeouts(time.Hour, time.Hour)
	s.server.SetWriteTimeout(time.Nanosecond)
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: s.trust.Clone(), ForceAttemptHTTP2: http2}
		t.Cleanup(transport.CloseIdleConnections)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+largestAnswer, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		if err == nil {
			t.Errorf("over %s the whole answer was sent", response.Proto)
		}
	}
}

// TestAnswersThatAreTakenSlowly: who takes an answer step by step gets all of it, however much of it the system would keep meanwhile.
func TestAnswersThatAreTakenSlowly(t *testing.T) {
	t.Parallel()
	s := startTLS(t, server.Config{}, func(s store.Store) store.Store { return s })
	s.server.SetTimeouts(time.Second, time.Hour)
	conn := s.dial(t, "http/1.1")
	const get = "GET " + largestAnswer + " HTTP/1.1\r\nHost: x\r\n"
	if _, err := conn.Write([]byte(strings.Repeat(get+"\r\n", 4) + get + "Connection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	taken, next := int64(0), time.NewTicker(100*time.Millisecond) // forty times as fast as it has to be
	defer next.Stop()
	for {
		n, err := io.CopyN(io.Discard, conn, 64<<10)
		if taken += n; errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("after %d bytes: %v", taken, err)
		}
		<-next.C
	}
}

// comeIn makes a call over a new connection, which stays.
func (s overTLS) comeIn(t *testing.T) {
	t.Helper()
	transport, _ := s.connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/healthz", http.NoBody)
	if err != nil {
		t.Error(err)
		return
	}
	if status, err := s.send(transport, request, ""); status != http.StatusOK {
		t.Errorf("a new one got %d (%v)", status, err)
	}
}

// TestAnswerThatBecomesLong: who waits for a connection already is let in then.
func TestAnswerThatBecomesLong(t *testing.T) {
	t.Parallel()
	held := hangingLogins{reached: make(chan struct{}, 1), release: make(chan struct{})}
	s := startTLS(t, server.Config{MaxConnections: 1}, func(s store.Store) store.Store { held.Store = s; return held })
	s.server.SetTimeouts(time.Hour, time.Hour)
	client := s.unwilling(t, 64<<10)
	client.ask(t, http.MethodGet, s.path, s.authorization())
	<-held.reached
	in := make(chan struct{})
	go func() {
		defer close(in)
		s.comeIn(t)
	}()
	for !s.server.IsFull() {
		runtime.Gosched()
	}
	client.ask(t, http.MethodGet, largestAnswer, "")
	<-in
}

package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/servertest"
	"github.com/tokenwire/tokenwire/server/store"
)

// TestBodiesThatDoNotCome: who has logged in and does not send the body keeps nobody out.
func TestBodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]string{"nothing of it": "", "half of it": `{"name":"Half`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, &servertest.Options{MaxConnections: 4, ReadTimeout: time.Hour}) // which is not what closes them
			login := overTLS{project: a.ProjectID, secret: a.Token}.authorization()
			for range 12 {
				dial(t, a, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n%s",
					tokensPath(a.ProjectID), login, begun))
			}
			for range 3 {
				a.do(t, jsonCall("PATCH", tokenPath(a.ProjectID, a.TokenID), `{}`).as(a.Project)).want(t, 200)
			}
		})
	}
}

// TestBodiesThatDoNotComeOverHTTP2: so it is when all requests of a connection wait for their bodies. One that is being carried out
// keeps its connection.
func TestBodiesThatDoNotComeOverHTTP2(t *testing.T) {
	t.Parallel()
	deleting, deleted := make(chan struct{}), make(chan struct{})
	s := startTLS(t, server.Config{MaxConnections: 1, ReadTimeout: time.Hour}, func(s store.Store) store.Store {
		return changingStore{s, func() { deleting <- struct{}{}; <-deleted }}
	})
	slow, _ := s.connect(t)
	reached, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := s.create(t, slow, reached, release)
			ended <- err
		}()
		<-reached
	}
	deletion := make(chan string, 1)
	go func() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.url+s.path+"/"+s.token, http.NoBody)
		if err != nil {
			deletion <- err.Error()
			return
		}
		status, err := s.send(slow, request, s.secret)
		deletion <- fmt.Sprint(status, err)
	}()
	<-deleting
	others := make(chan string, 1)
	go func() {
		other, _ := s.connect(t)
		status, err := s.get(t, other, "nobody's")
		others <- fmt.Sprint(status, err)
	}()
	select {
	case got := <-others:
		t.Errorf("while a request was carried out, another connection took its place, and got %s", got)
	case <-time.After(3 * time.Second): // longer than anybody may be without a request
	}
	close(deleted)
	if got := <-deletion; got != "204 <nil>" {
		t.Errorf("the request that was carried out got %s", got)
	}
	if got := <-others; got != "401 <nil>" {
		t.Errorf("when only bodies were waited for, another connection got %s", got)
	}
	close(release)
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("a request whose body has not come was answered")
		}
	}
}

// TestLargeBodiesTakeTurns: few of them are decoded at once, because each becomes many times as large; small ones do not wait for them.
func TestLargeBodiesTakeTurns(t *testing.T) {
	t.Parallel()
	s := newBare(t)
	release := s.handler.(*server.Server).HoldLargeBodies()
	large := make(chan int)
	go func() {
		large <- s.serve(http.MethodPost, tokensPath(s.project), s.secret, `{"name":"`+strings.Repeat("x", 5000)+`"}`).Code
	}()
	for range 20 {
		if got := s.serve(http.MethodPatch, tokenPath(s.project, s.tokens[0]), s.secret, `{"name":"small"}`); got.Code != http.StatusOK {
			t.Errorf("a small one got %d", got.Code)
		}
	}
	select {
	case status := <-large:
		t.Errorf("a large one got %d out of turn", status)
		release()
	default:
		release()
		if status := <-large; status != http.StatusUnprocessableEntity {
			t.Errorf("a large one got %d", status)
		}
	}
}

// TestLargeBodiesWaitForATime: who would have to wait for too long is told that the server is busy.
func TestLargeBodiesWaitForATime(t *testing.T) {
	t.Parallel()
	s := newBareWith(t, server.Config{RequestTimeout: 500 * time.Millisecond})
	defer s.handler.(*server.Server).HoldLargeBodies()()
	if got := s.serve(http.MethodPost, tokensPath(s.project), s.secret, `{"name":"`+strings.Repeat("x", 5000)+`"}`); got.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

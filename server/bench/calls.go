package main

import (
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/tokenwire/tokenwire/server/secret"
)

// calls makes the calls on the tokens of one database. Every server gets the same ones.
type calls struct {
	db   *database
	path string // of the tokens
}

func newCalls(db *database) calls {
	return calls{db, "/api/laml/2010-04-01/Accounts/" + db.project.String() + "/tokens"}
}

// token is the path of one, another each time.
func (c calls) token(n uint64) string { return c.path + "/" + pick(c.db.tokens, n).String() }

// basic returns the header with a credential of the project.
func (c calls) basic(of secret.Secret) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.db.project.String()+":"+of.Reveal()))
}

// request returns a function that sets what is the same in every call of a kind.
func (c calls) request(method string, of secret.Secret) func(*fasthttp.Request) {
	header := c.basic(of)
	return func(request *fasthttp.Request) {
		request.Header.SetMethod(method)
		request.Header.Set("Authorization", header)
		if method == http.MethodPatch || method == http.MethodPost {
			request.Header.SetContentType("application/json")
		}
	}
}

// update renames a token, each time another one and with another name.
func (c calls) update(address string) *target {
	set := c.request(http.MethodPatch, c.db.management)
	return &target{address: address, status: http.StatusOK, prepare: func(n uint64, request *fasthttp.Request) bool {
		set(request)
		request.SetRequestURI(c.token(n))
		request.SetBodyString(`{"name":"Bench ` + strconv.FormatUint(n, 10) + `"}`)
		return true
	}}
}

// refused is an update that the contract forbids.
func (c calls) refused(address string, status int) *target {
	set := c.request(http.MethodPatch, c.db.management)
	return &target{address: address, status: status, prepare: func(n uint64, request *fasthttp.Request) bool {
		set(request)
		request.SetRequestURI(c.token(n))
		request.SetBodyString(`{"name":7}`)
		return true
	}}
}

func (c calls) create(address string) *target {
	set := c.request(http.MethodPost, c.db.management)
	return &target{address: address, status: http.StatusOK, prepare: func(n uint64, request *fasthttp.Request) bool {
		set(request)
		request.SetRequestURI(c.path)
		request.SetBodyString(`{"name":"Bench ` + strconv.FormatUint(n, 10) + `","permissions":["fax"]}`)
		return true
	}}
}

func (c calls) get(address string) *target {
	set := c.request(http.MethodGet, c.db.management)
	return &target{address: address, status: http.StatusOK, prepare: func(n uint64, request *fasthttp.Request) bool {
		set(request)
		request.SetRequestURI(c.token(n))
		return true
	}}
}

// list is called with the token that may not: tokenwire authenticates it, and refuses the call for its permission.
func (c calls) list(address string, status int) *target {
	set := c.request(http.MethodGet, c.db.fax)
	return &target{address: address, status: status, prepare: func(_ uint64, request *fasthttp.Request) bool {
		set(request)
		request.SetRequestURI(c.path)
		return true
	}}
}

// verify asks, as a gateway does for each of its requests, whether a token may do something.
func (c calls) verify(address string) *target {
	set := c.request(http.MethodGet, c.db.fax)
	return &target{address: address, status: http.StatusNoContent, prepare: func(_ uint64, request *fasthttp.Request) bool {
		set(request)
		request.SetRequestURI(verifyRoute + "?permission=fax")
		return true
	}}
}

// remove deletes each token of the queue once.
func (c calls) remove(address string, left *queue[uuid.UUID]) *target {
	set := c.request(http.MethodDelete, c.db.management)
	return &target{address: address, status: http.StatusNoContent, prepare: func(_ uint64, request *fasthttp.Request) bool {
		id, ok := left.next()
		set(request)
		request.SetRequestURI(c.path + "/" + id.String())
		return ok
	}}
}

// removeEach deletes what was filled in.
func (c calls) removeEach(address string) *target {
	left := &queue[uuid.UUID]{}
	left.add(c.db.tokens)
	return c.remove(address, left)
}

// removeAny is for servers that have no tokens.
func (c calls) removeAny(address string) *target {
	set := c.request(http.MethodDelete, c.db.management)
	return &target{address: address, status: http.StatusNoContent, prepare: func(n uint64, request *fasthttp.Request) bool {
		set(request)
		request.SetRequestURI(c.token(n))
		return true
	}}
}

// pick spreads calls over all ids without an order that an index could profit from. The factor is 2⁶⁴ over the golden ratio.
func pick(ids []uuid.UUID, n uint64) uuid.UUID {
	return ids[(n*0x9E3779B97F4A7C15>>20)%uint64(len(ids))]
}

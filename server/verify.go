package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/guard"
	"github.com/tokenwire/tokenwire/server/store"
)

// verifyToken is the operation that gateways ask.
const verifyToken = "verify_token"

// identity is who a caller is, in the form of the headers that say so.
type identity struct{ project, token, permissions []string }

func identityOf(token store.Token) *identity {
	return &identity{
		project: []string{token.ProjectID.String()}, token: []string{token.ID.String()},
		permissions: []string{strings.Join(token.Permissions, ",")},
	}
}

// VerifyToken is the operation verify_token. Its requests end before they get here: see verify.
func (*Server) VerifyToken(context.Context, serverapi.VerifyTokenRequestObject) (serverapi.VerifyTokenResponseObject, error) {
	return nil, errors.New("verify has let a request pass")
}

// verify answers verify_token. Nothing is asked as often, for each request that a gateway gets; the generated code would read the
// query once more, and write each value anew. It refuses a caller that may not do what the request asks about: it lacks the
// permission in the query or, without one, what the rules demand for the original request. What that is to blame for is answered
// 403: a gateway turns any other error into a failure of its own.
func (s *Server) verify(echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		caller := notesOf(c.Request().Context()).caller
		need, err := s.needOf(c.Request())
		if err != nil {
			return err
		}
		if len(need.AnyOf) > 0 && !slices.ContainsFunc(need.AnyOf, func(p string) bool { return slices.Contains(caller.Permissions, p) }) {
			return lacksAnyOf(need.AnyOf)
		}
		if need.Account != "" {
			if err := s.reaches(c.Request().Context(), need.Account); err != nil {
				return err
			}
		}
		header := c.Response().Header() // all answers share the values: nobody changes them
		header["X-Tokenwire-Project"], header["X-Tokenwire-Token-Id"] = caller.identity.project, caller.identity.token
		header["X-Tokenwire-Permissions"] = caller.identity.permissions
		return c.NoContent(http.StatusNoContent)
	}
}

// needOf returns what a request asks about.
func (s *Server) needOf(r *http.Request) (guard.Need, error) {
	original, err := originalOf(r.Header)
	if err != nil {
		return guard.Need{}, err
	}
	if permissions := notesOf(r.Context()).query["permission"]; len(permissions) > 0 {
		// A gateway may pass the query of its client on with its own call, and the client would choose the permission.
		if original.hasPermission() {
			return guard.Need{}, errClientsPermission
		}
		return guard.Need{AnyOf: permissions}, nil
	}
	if original.uri == "" {
		return guard.Need{}, mustAskNothing(notesOf(r.Context()).query)
	}
	need, err := s.config.Guard.Find(original.method, original.uri)
	switch {
	case errors.Is(err, guard.ErrNoRule):
		return need, errNoRule
	case err != nil:
		return need, errAmbiguousPath
	}
	return need, nil
}

// mustAskNothing refuses a query that has no permission, where nothing else says what is asked: a name that is misspelt would ask whether
// the credential is good, and let everybody through who has one.
func mustAskNothing(query url.Values) error {
	if len(query) == 0 {
		return nil
	}
	return badRequest(fmt.Sprintf("%q is no parameter; the permission to look for is in the parameter permission", printable(sortedKeys(query)[0], maxAttribute)))
}

// original is the request that a gateway asks about; empty when it asks about none.
type original struct{ method, uri string }

// hasPermission reports whether the query has a permission. One that cannot be read has, for all that is known.
func (o original) hasPermission() bool {
	_, query, _ := strings.Cut(o.uri, "?")
	if query == "" {
		return false
	}
	values, err := url.ParseQuery(query)
	return err != nil || values.Has("permission")
}

// originalOf reads the headers about the original request. A gateway may set some of them and let the others pass as its client has
// sent them, so all must say the same.
func originalOf(header http.Header) (original, error) {
	found, err := originalIn(header, "X-Original-Method", "X-Original-Uri", "X-Original-Url")
	if err != nil {
		return original{}, err
	}
	forwarded, err := originalIn(header, "X-Forwarded-Method", "X-Forwarded-Uri", "")
	switch {
	case err != nil:
		return original{}, err
	case found == original{}:
		found = forwarded
	case forwarded != original{} && forwarded != found:
		return original{}, errOriginal
	}
	// This one comes without a method, so it says nothing by itself. What it says must not be lost either.
	if rewritten := header["X-Rewrite-Url"]; len(rewritten) > 0 && (len(rewritten) > 1 || found.uri == "" || rewritten[0] != found.uri) {
		return original{}, errOriginal
	}
	return found, nil
}

// originalIn reads the headers with these names.
func originalIn(header http.Header, method, path, url string) (original, error) {
	methods, paths, urls := header[method], header[path], header[url]
	if len(methods) == 0 && len(paths) == 0 && len(urls) == 0 {
		return original{}, nil
	}
	uri, err := uriIn(paths, urls)
	if err == nil && (len(methods) != 1 || methods[0] == "" || uri == "") {
		err = errOriginal
	}
	if err != nil {
		return original{}, err
	}
	return original{methods[0], uri}, nil
}

// uriIn returns what one of two headers says, or both alike; "" when there is none.
func uriIn(paths, urls []string) (string, error) {
	if len(paths) > 1 || len(urls) > 1 {
		return "", errOriginal
	}
	uri := strings.Join(paths, "")
	if len(urls) == 0 {
		return uri, nil
	}
	said, ok := pathOf(urls[0])
	switch {
	case !ok:
		return "", errAmbiguousPath
	case len(paths) == 1 && uri != said:
		return "", errOriginal
	}
	return said, nil
}

// pathOf returns what follows the host of a URL, or what is a path already. The host may be whatever the client has sent as Host, and
// must not end before or behind where it seems to.
func pathOf(url string) (string, bool) {
	rest, ok := strings.CutPrefix(url, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(url, "http://")
	}
	if !ok {
		return url, strings.HasPrefix(url, "/")
	}
	host, _, _ := strings.Cut(rest, "/")
	plain := host != "" && strings.Trim(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]") == ""
	return rest[len(host):], plain && len(host) < len(rest)
}

// reaches refuses an account that is neither the caller's project nor one of its subprojects.
func (s *Server) reaches(ctx context.Context, sid string) error {
	id, err := parseUUID(sid)
	if err != nil {
		return errForeignAccount
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.RequestTimeout)
	defer cancel()
	if _, err = s.account(ctx, id); errors.Is(err, store.ErrNotFound) || errors.Is(err, errNotFound) {
		return errForeignAccount
	}
	return err
}

// The refusals of an original request.
var (
	errNoRule         = forbidden("No rule is about this method and path, so it is closed")
	errAmbiguousPath  = forbidden("The method or the path can be read in more than one way. Write the path plainly")
	errForeignAccount = forbidden("The account in the path is neither this project nor one of its subprojects")
	errOriginal       = forbidden("The headers with the original method and path must be given together, once, and agree with each other")

	errClientsPermission = forbidden("There is a permission in the query of the original path too, and the gateway may have passed it on. " +
		"Let it set the query itself")
)

func forbidden(message string) *problem {
	return &problem{status: http.StatusForbidden, code: codeAuthentication, message: message}
}

func lacksAnyOf(permissions []string) *problem {
	message := "This API token has none of these permissions, of which one is needed: " + strings.Join(permissions, ", ")
	if len(permissions) == 1 {
		message = lacks(permissions[0])
	}
	refused := forbidden(message)
	refused.lacks = true
	return refused
}

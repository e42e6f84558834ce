// Package guard lets a Go service open its handlers to API tokens: a middleware asks a tokenwire server whose the credential of
// each request is, and what it may do.
//
//	g, err := guard.New("http://127.0.0.1:8080")
//	if err != nil { … }
//	http.Handle("/messages", g.Require(client.PermissionMessaging)(messages))
//
// The handler finds who has called in the context of its request:
//
//	who, ok := guard.FromContext(r.Context()) // who.ProjectID, who.TokenID, who.Permissions
//
// The credential is HTTP Basic, a Project ID and an API token of it, as for tokenwire itself. A request without a good one is
// answered 401, one whose token lacks the permission 403, both with the body that tokenwire documents.
//
// # What the handler does not get
//
// The Authorization header stays here, so that a handler that hands its request on, such as [net/http/httputil.ReverseProxy], does
// not hand on the secret; [WithAuthorization] lets it through. Headers by which gateways say who has called, X-Tokenwire-… in any
// spelling, could only be the client's own and are removed. A handler may be guarded twice by one guard, for all of its routes and for
// one: the inner middleware knows what the outer one has found.
//
// # Echo
//
// Echo takes the middleware by its own adapter, so that this package need not know Echo:
//
//	e.Use(echo.WrapMiddleware(g.Require(client.PermissionMessaging)))
//	who, ok := guard.FromContext(c.Request().Context())
//
// # What is remembered
//
// A good credential is believed for a second without asking again; [WithLifetime] changes that, and 0 asks each time. So long
// may a token live on here after it was deleted or narrowed. The memory is bounded, has hashes of credentials in place of
// credentials, and never that one is bad. Requests that come at once with one unknown credential share one question.
//
// # When tokenwire does not answer
//
// The request is answered 503 with Retry-After, and the handler is not called. When tokenwire answers 429, because too many
// log-ins from this service have failed, a request with a bad credential gets 429; good ones are not affected.
package guard

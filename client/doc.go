// Package client manages SignalWire API tokens, at SignalWire itself or at a tokenwire server. It
// compiles no server code.
//
// # Start
//
// A client acts for one project. Its credential is the Project ID and an API token of that project
// that holds the management permission:
//
//	c, err := client.New(projectID, apiToken, client.WithSpace("example"))
//
// [FromEnv] takes the same three values from the environment variables that the official SDKs read.
// [WithBaseURL] names any other server in place of a Space. A [Client] never changes after it was made,
// and any number of goroutines may use it.
//
//	token, err := c.CreateToken(ctx, client.CreateTokenParams{
//		Name:        "Branch office",
//		Permissions: []client.Permission{client.PermissionFax, client.PermissionMessaging},
//	})
//
// Operations act on the project's own account. [Client.ForAccount] gives a client that acts on the
// account of one of its subprojects, with the same credential.
//
// # Lists
//
// ListTokens, ListAccounts and ListAuditEvents are iterators that follow the links from page to page:
//
//	for account, err := range c.ListAccounts(ctx, client.ListAccountsParams{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(account.ID, account.Name)
//	}
//
// # Extensions
//
// Tokens at SignalWire cannot be listed, expire, be rotated or be verified. What only a tokenwire server has says so in its
// documentation; SignalWire answers it with [ErrNotFound] or refuses the field.
//
// # Absent fields
//
// In an update, what you do not set stays as it is. Name is a pointer, and nil keeps the name. The zero
// value of [PermissionChange] keeps the permissions, [SetPermissions] replaces them, and only
// [NoPermissions] takes all of them away: SetPermissions with an empty list is refused, because a
// list that came out empty is more often a mistake than a wish.
//
//	_, err = c.UpdateToken(ctx, token.ID, client.UpdateTokenParams{Name: new("Head office")})
//
// # Secrets
//
// The secret of a token is a [Secret]. It prints, logs and marshals as "[redacted]", and
// [Secret.Reveal] gives the value.
//
// # Errors
//
// An answer that is no success becomes an [*Error] with the status, the vendor's code and message, and
// the beginning of the body. Compare with [ErrNotFound] and its kin:
//
//	if errors.Is(err, client.ErrNotFound) { … }
//
// An argument that cannot be right, such as an id that is no UUID, is refused before anything is sent,
// with an [*ArgumentError]. When there was no answer the error wraps that of net/http, and says what to do
// where that is known, such as when the server speaks HTTPS and the base URL does not. A context that
// ended shows in errors.Is(err, context.Canceled) or context.DeadlineExceeded.
//
// # Retries
//
// UpdateToken and DeleteToken may be carried out twice without harm. They are repeated, up to three
// times (see [WithRetries]), when the connection failed, an attempt timed out, or the status was 429, 502,
// 503 or 504. The pause before the first repetition is half a second, it doubles up to ten seconds, and
// each pause is varied by half of itself, so that clients do not come back all at once. A longer
// Retry-After is obeyed. When it exceeds a minute, or when a pause would last beyond the deadline of the
// context, the last error is returned at once. Certificates that do not verify, host names that do not
// exist and contexts that ended are not tried again.
//
// CreateToken and CreateAccount are sent once and never repeated, unless they have an idempotency key, since
// each repetition could leave a token that nobody knows. That includes the repetition which net/http makes by
// itself on a connection that turned out to be dead. When CreateToken fails with [ErrServer], or with neither
// an [*Error] nor an [*ArgumentError], the token may exist all the same.
//
// # Transport
//
// Redirects are not followed: the 3xx is returned as an [*Error]. Following one would turn a PATCH into a
// GET, or show the request to another host. A credential is sent over plain HTTP to this machine only
// (localhost and loopback addresses), unless [WithInsecureHTTP] allows more.
package client

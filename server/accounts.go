package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/store"
)

const accountsPath = compatBase + "Accounts"

// ListAccounts is the operation list_accounts.
func (s *Server) ListAccounts(ctx context.Context, request serverapi.ListAccountsRequestObject) (serverapi.ListAccountsResponseObject, error) {
	caller, err := mustCaller(ctx)
	if err != nil {
		return nil, err
	}
	params := request.Params
	filters, query := url.Values{}, store.ProjectQuery{Account: caller.ProjectID}
	if params.FriendlyName != nil {
		query.Name = *params.FriendlyName
		filters.Set("FriendlyName", query.Name)
	}
	projects, links, err := readPage(s, listing{caller.ProjectID, accountsPath, filters}, pageQuery{params.Page, params.PageSize, params.PageToken},
		func(page store.Page) ([]store.Project, error) {
			query.Page = page
			return s.config.Store.Projects(ctx, query)
		},
		func(p store.Project) uuid.UUID { return p.ID })
	if err != nil {
		return nil, err
	}
	accounts := make([]serverapi.Account, 0, len(projects))
	for _, project := range projects {
		accounts = append(accounts, accountAnswer(project, ""))
	}
	return serverapi.ListAccounts200JSONResponse{Body: serverapi.AccountPage{
		URI: links.uri, FirstPageURI: links.first, NextPageURI: links.next, PreviousPageURI: links.previous,
		Page: links.page, PageSize: links.size, Accounts: accounts,
	}}, nil
}

// CreateSubprojects is the operation create_subprojects.
func (s *Server) CreateSubprojects(ctx context.Context, request serverapi.CreateSubprojectsRequestObject) (serverapi.CreateSubprojectsResponseObject, error) {
	caller, err := mustCaller(ctx)
	if err != nil {
		return nil, err
	}
	parent, err := s.config.Store.Project(ctx, caller.ProjectID)
	if err != nil {
		return nil, err
	}
	if parent.IsSubproject() {
		return nil, errNested
	}
	now := s.now(ctx)
	project := store.Project{ID: newID(), ParentID: parent.ID, Name: request.JSONBody.FriendlyName, CreatedAt: now, UpdatedAt: now}
	answer := accountAnswer(project, newSigningKey())
	answer, err = once(ctx, s, repeatable{request.Params.IdempotencyKey, "create_subprojects", request.JSONBody, nil},
		func(store.Token) serverapi.Account { return answer },
		func(change store.Change) (store.Token, error) {
			return store.Token{}, s.config.Store.CreateProject(ctx, project, nil, change)
		})
	if err != nil {
		return nil, err
	}
	return serverapi.CreateSubprojects201JSONResponse{Body: answer}, nil
}

// GetAccount is the operation get_account.
func (s *Server) GetAccount(ctx context.Context, request serverapi.GetAccountRequestObject) (serverapi.GetAccountResponseObject, error) {
	sid, err := s.account(ctx, request.Sid)
	if err != nil {
		return nil, err
	}
	project, err := s.config.Store.Project(ctx, sid)
	if err != nil {
		return nil, err
	}
	return serverapi.GetAccount200JSONResponse{Body: accountAnswer(project, "")}, nil
}

// UpdateAccount is the operation update_account.
func (s *Server) UpdateAccount(ctx context.Context, request serverapi.UpdateAccountRequestObject) (serverapi.UpdateAccountResponseObject, error) {
	sid, err := s.account(ctx, request.Sid)
	if err != nil {
		return nil, err
	}
	project, err := s.config.Store.RenameProject(ctx, sid, request.JSONBody.FriendlyName, s.change(ctx))
	if err != nil {
		return nil, err
	}
	return serverapi.UpdateAccount200JSONResponse{Body: accountAnswer(project, "")}, nil
}

// account returns the account that the caller acts on: its own project or one of its subprojects. Any other does not
// exist for this caller.
func (s *Server) account(ctx context.Context, sid uuid.UUID) (uuid.UUID, error) {
	caller, err := mustCaller(ctx)
	if err != nil {
		return uuid.Nil, err
	}
	if sid == caller.ProjectID {
		return sid, nil
	}
	project, err := s.config.Store.Project(ctx, sid)
	if err != nil {
		return uuid.Nil, err
	}
	if project.ParentID != caller.ProjectID {
		return uuid.Nil, errNotFound
	}
	return sid, nil
}

// newSigningKey returns what the vendor shows once for each new subproject. Nothing that tokenwire does needs it, so it is
// not kept.
func newSigningKey() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return "PSK" + hex.EncodeToString(random[:])
}

// rfc2822 is the form of dates in an Account.
const rfc2822 = "Mon, 02 Jan 2006 15:04:05 -0700"

func accountAnswer(project store.Project, signingKey string) serverapi.Account {
	owner := project.ID
	if project.IsSubproject() {
		owner = project.ParentID
	}
	key := nullable.NewNullNullable[string]()
	if signingKey != "" {
		key.Set(signingKey)
	}
	uri := accountsPath + "/" + project.ID.String()
	return serverapi.Account{
		Sid: project.ID, FriendlyName: project.Name, Status: serverapi.AccountStatusActive, AuthToken: serverapi.AccountAuthTokenRedacted,
		DateCreated: formatDate(project.CreatedAt), DateUpdated: formatDate(project.UpdatedAt), Type: serverapi.AccountTypeFull,
		OwnerAccountSid: owner, RegionPreference: serverapi.AccountRegionPreferenceUsEast, URI: uri,
		Subproject: project.IsSubproject(), SigningKey: key, SubresourceUris: subresources(uri),
	}
}

func formatDate(t time.Time) string { return t.UTC().Format(rfc2822) }

// subresources names what an account has at the vendor's.
func subresources(uri string) serverapi.SubresourceURIs {
	none := nullable.NewNullNullable[string]()
	return serverapi.SubresourceURIs{
		AvailablePhoneNumbers: uri + "/AvailablePhoneNumbers", Applications: uri + "/Applications", Calls: uri + "/Calls",
		Conferences: uri + "/Conferences", IncomingPhoneNumbers: uri + "/IncomingPhoneNumbers", Queues: uri + "/Queues",
		Recordings: uri + "/Recordings", Messages: uri + "/Messages", Transcriptions: uri + "/Transcriptions",
		Addresses: none, AuthorizedConnectApps: none, ConnectApps: none, Keys: none, Notifications: none,
		OutgoingCallerIds: none, Sandbox: none, SIP: none, ShortCodes: none, Usage: none,
	}
}

package server

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

// ListTokens is the operation list_tokens.
func (s *Server) ListTokens(ctx context.Context, request serverapi.ListTokensRequestObject) (serverapi.ListTokensResponseObject, error) {
	account, err := s.account(ctx, request.AccountSid)
	if err != nil {
		return nil, err
	}
	params := request.Params
	query, filters := s.tokenQuery(ctx, account, params)
	tokens, links, err := readPage(s, listing{account, accountsPath + "/" + account.String() + "/tokens", filters},
		pageQuery{params.Page, params.PageSize, params.PageToken},
		func(page store.Page) ([]store.Token, error) {
			query.Page = page
			return s.config.Store.Tokens(ctx, query)
		},
		func(t store.Token) uuid.UUID { return t.ID })
	if err != nil {
		return nil, err
	}
	page := serverapi.TokenPage{
		URI: links.uri, FirstPageURI: links.first, NextPageURI: links.next, PreviousPageURI: links.previous,
		Page: links.page, PageSize: links.size, Tokens: make([]serverapi.TokenSummary, 0, len(tokens)),
	}
	for _, token := range tokens {
		summary, err := s.summary(token)
		if err != nil {
			return nil, err
		}
		page.Tokens = append(page.Tokens, summary)
	}
	return serverapi.ListTokens200JSONResponse{Body: page}, nil
}

func (s *Server) tokenQuery(ctx context.Context, account uuid.UUID, params serverapi.ListTokensParams) (store.TokenQuery, url.Values) {
	query, filters := store.TokenQuery{Account: account, Expired: params.Expired, Now: s.now(ctx)}, url.Values{}
	if params.NamePrefix != nil {
		query.NamePrefix = *params.NamePrefix
		filters.Set("NamePrefix", query.NamePrefix)
	}
	if params.Permission != nil {
		query.Permission = string(*params.Permission)
		filters.Set("Permission", query.Permission)
	}
	if params.Expired != nil {
		filters.Set("Expired", strconv.FormatBool(*params.Expired))
	}
	return query, filters
}

// GetToken is the operation get_token.
func (s *Server) GetToken(ctx context.Context, request serverapi.GetTokenRequestObject) (serverapi.GetTokenResponseObject, error) {
	account, err := s.account(ctx, request.AccountSid)
	if err != nil {
		return nil, err
	}
	token, err := s.config.Store.Token(ctx, account, request.TokenID)
	if err != nil {
		return nil, err
	}
	summary, err := s.summary(token)
	if err != nil {
		return nil, err
	}
	return serverapi.GetToken200JSONResponse{Body: summary}, nil
}

// RotateToken is the operation rotate_token.
func (s *Server) RotateToken(ctx context.Context, request serverapi.RotateTokenRequestObject) (serverapi.RotateTokenResponseObject, error) {
	account, err := s.account(ctx, request.AccountSid)
	if err != nil {
		return nil, err
	}
	var grace time.Duration
	if seconds := request.JSONBody.GracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	plain := secret.New()
	sealed, err := s.config.Keyset.Seal(request.TokenID, plain)
	if err != nil {
		return nil, err
	}
	answer, err := once(ctx, s,
		repeatable{request.Params.IdempotencyKey, "rotate_token of " + account.String() + " " + request.TokenID.String(), request.JSONBody, nil},
		func(rotated store.Token) serverapi.Token { return tokenAnswer(rotated, plain) },
		func(change store.Change) (store.Token, error) {
			rotation := store.Rotation{SecretHash: plain.Hash(), SealedSecret: sealed, RetireAt: change.At.Add(grace)}
			return s.config.Store.RotateToken(ctx, account, request.TokenID, rotation, change)
		})
	if err != nil {
		return nil, err
	}
	return serverapi.RotateToken200JSONResponse{Body: answer}, nil
}

func (s *Server) summary(token store.Token) (serverapi.TokenSummary, error) {
	plain, err := s.config.Keyset.Open(token.ID, token.SealedSecret)
	if err != nil {
		return serverapi.TokenSummary{}, err
	}
	return serverapi.TokenSummary{
		ID: token.ID, Name: token.Name, Permissions: wirePermissions(token.Permissions), ProjectID: token.ProjectID,
		SecretLastFour: plain.LastFour(), CreatedAt: token.CreatedAt, UpdatedAt: token.UpdatedAt,
		LastUsedAt: optionalTime(token.LastUsedAt), ExpiresAt: optionalTime(token.ExpiresAt),
	}, nil
}

func optionalTime(t time.Time) nullable.Nullable[time.Time] {
	if t.IsZero() {
		return nullable.NewNullNullable[time.Time]()
	}
	return nullable.NewNullableWithValue(t)
}

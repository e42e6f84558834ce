package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/client"
)

// ownFlag is for commands that can take from their users what they call with: nobody may be left who could give it back.
type ownFlag struct {
	Own bool `env:"TOKENWIRE_TOKEN_OWN" help:"Do so also to the very token in SIGNALWIRE_API_TOKEN, when that could lock you out. A Space is not asked which token that is."`
}

// check refuses the token in use, unless it is meant. It costs a request, which a Space would not understand.
func (f ownFlag) check(ctx context.Context, api apiFlags, c *client.Client, id, consequence string) error {
	if f.Own || api.BaseURL == "" || uuid.Validate(id) != nil {
		return nil //nolint:nilerr // what is no id the client refuses
	}
	own, err := c.VerifyToken(ctx, client.VerifyTokenParams{})
	if answer, ok := errors.AsType[*client.Error](err); ok && (answer.Status == http.StatusNotFound || answer.Status == http.StatusUnauthorized) {
		return nil // a server that has no such question; or a credential that can do no harm
	}
	if err != nil {
		return fmt.Errorf("ask which token is in use: %w; give --own to go on without asking", inTermsOfFlags(err))
	}
	if !strings.EqualFold(own.TokenID, id) {
		return nil
	}
	return fmt.Errorf("<TOKEN-ID> is the token in SIGNALWIRE_API_TOKEN, and %s; give --own if you mean that", consequence)
}

package main

import (
	"context"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

type tokenListCmd struct {
	apiFlags
	NamePrefix string            `placeholder:"TEXT" help:"Only tokens whose name begins like this."`
	Permission client.Permission `env:"TOKENWIRE_LIST_PERMISSION" placeholder:"PERMISSION" help:"Only tokens that hold this permission."`
	Expired    *bool             `negatable:"" help:"Only tokens that have expired, or only those that have not."`
}

// Run lists tokens.
func (cmd tokenListCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	params := client.ListTokensParams{NamePrefix: cmd.NamePrefix, Permission: cmd.Permission, Expired: cmd.Expired, PageSize: cliPageSize}
	tokens := []*client.TokenSummary{}
	for token, err := range c.ListTokens(ctx, params) {
		if err != nil {
			return inTermsOfFlags(err)
		}
		tokens = append(tokens, token)
	}
	if cmd.JSON {
		return writeJSON(std.out, tokens)
	}
	return writeTokens(std, tokens...)
}

// cliPageSize fetches long lists in few requests.
const cliPageSize = 500

type tokenShowCmd struct {
	apiFlags
	ID string `arg:"" name:"TOKEN-ID" help:"The token."`
}

// Run shows a token.
func (cmd tokenShowCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	token, err := c.GetToken(ctx, cmd.ID)
	if err != nil {
		return inTermsOfFlags(err)
	}
	if cmd.JSON {
		return writeJSON(std.out, token)
	}
	return writeTokens(std, token)
}

type tokenRotateCmd struct {
	apiFlags
	ownFlag
	ID             string        `arg:"" name:"TOKEN-ID" help:"The token."`
	Grace          time.Duration `placeholder:"TIME" help:"How long the old secret works still, such as 1h or 7d, which is the most. By default it ends at once."`
	IdempotencyKey string        `placeholder:"KEY" help:"Name of this rotation: repeating the command with it brings the same secret for a day."`
}

// Run rotates a token.
func (cmd tokenRotateCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	if cmd.Grace == 0 {
		if err := cmd.check(ctx, cmd.apiFlags, c, cmd.ID, "its secret there would end at once, which --grace puts off"); err != nil {
			return err
		}
	}
	token, err := c.RotateToken(ctx, cmd.ID, client.RotateTokenParams{Grace: cmd.Grace, IdempotencyKey: cmd.IdempotencyKey})
	if err != nil {
		return inTermsOfFlags(err)
	}
	return cmd.print(std, token)
}

type tokenVerifyCmd struct {
	apiFlags
	Permission client.Permission `env:"TOKENWIRE_VERIFY_PERMISSION" placeholder:"PERMISSION" help:"Fail unless the token holds this permission."`
}

// Run verifies the credential itself.
func (cmd tokenVerifyCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.ownClient()
	if err != nil {
		return err
	}
	v, err := c.VerifyToken(ctx, client.VerifyTokenParams{Permission: cmd.Permission})
	if err != nil {
		return inTermsOfFlags(err)
	}
	if cmd.JSON {
		return writeJSON(std.out, v)
	}
	return writeTable(std.out, []string{"PROJECT ID", "TOKEN ID", "PERMISSIONS"}, [][]string{{v.ProjectID, v.TokenID, joined(v.Permissions)}})
}

func writeTokens(std streams, tokens ...*client.TokenSummary) error {
	rows := make([][]string, 0, len(tokens))
	for _, token := range tokens {
		rows = append(rows, []string{
			token.ID, token.Name, joined(token.Permissions), token.ProjectID, "…" + token.SecretLastFour,
			moment(token.CreatedAt), moment(token.LastUsedAt), moment(token.ExpiresAt),
		})
	}
	return writeTable(std.out, []string{"TOKEN ID", "NAME", "PERMISSIONS", "PROJECT ID", "API TOKEN", "CREATED", "LAST USED", "EXPIRES"}, rows)
}

// moment shows a time in a cell.
func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

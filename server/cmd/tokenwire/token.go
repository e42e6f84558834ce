package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Create an API token and print its secret."`
	Update tokenUpdateCmd `cmd:"" help:"Rename an API token or replace its permissions. What is not given is kept."`
	Delete tokenDeleteCmd `cmd:"" help:"Delete an API token."`
	List   tokenListCmd   `cmd:"" help:"List the API tokens of the account and of its subprojects. Not at SignalWire."`
	Show   tokenShowCmd   `cmd:"" help:"Show an API token without its secret. Not at SignalWire."`
	Rotate tokenRotateCmd `cmd:"" help:"Give an API token a new secret. Not at SignalWire."`
	Verify tokenVerifyCmd `cmd:"" help:"Show whose the credential is, and whether it has a permission. Not at SignalWire."`
}

// Help names the environment that the official SDKs read too.
func (tokenCmd) Help() string { return environmentHelp }

const environmentHelp = `The credential comes from the environment, as with SignalWire's SDKs:

  SIGNALWIRE_PROJECT_ID  the Project ID
  SIGNALWIRE_API_TOKEN   an API token of that project that holds the permission management; for token verify, any
  SIGNALWIRE_SPACE       the Space, such as example or example.signalwire.com
  TOKENWIRE_BASE_URL     another server in its place, such as http://127.0.0.1:8080; --base-url means the same`

// Help says so for every command that has these flags.
func (apiFlags) Help() string { return environmentHelp }

// apiFlags say which server and account a call goes to.
type apiFlags struct {
	BaseURL      string `placeholder:"URL" help:"Server to call, such as http://127.0.0.1:8080. By default the Space in SIGNALWIRE_SPACE."`
	Account      string `placeholder:"PROJECT-ID" help:"Act on this subproject of the authenticated project."`
	InsecureHTTP bool   `name:"insecure-http" help:"Send the credential over plain HTTP to another machine."`
	JSON         bool   `name:"json" help:"Print JSON."`
}

func (f apiFlags) client() (*client.Client, error) {
	options := []client.Option{client.WithUserAgent("tokenwire-cli/" + programVersion())}
	if f.BaseURL != "" {
		options = append(options, client.WithBaseURL(f.BaseURL))
	}
	if f.InsecureHTTP {
		options = append(options, client.WithInsecureHTTP())
	}
	c, err := client.FromEnv(options...)
	if err != nil {
		return nil, inTermsOfFlags(err)
	}
	if f.Account == "" {
		return c, nil
	}
	return c.ForAccount(f.Account), nil
}

// ownClient is for calls that concern the authenticated project alone: to ignore an account would act on the wrong one.
func (f apiFlags) ownClient() (*client.Client, error) {
	if f.Account != "" {
		return nil, errors.New("--account (TOKENWIRE_ACCOUNT) does not go with this command: it acts on the project of the credential")
	}
	return f.client()
}

// inTermsOfFlags names the flag where the client names its own argument.
func inTermsOfFlags(err error) error {
	if answer, ok := errors.AsType[*client.Error](err); ok {
		return withPath(err, answer)
	}
	argument, ok := errors.AsType[*client.ArgumentError](err)
	if !ok {
		return err
	}
	reason := strings.ReplaceAll(argument.Reason, "WithBaseURL", baseURLFlag)
	if strings.Contains(reason, "WithInsecureHTTP") {
		reason = "plain HTTP shows the credential to the network; use https, or --insecure-http"
	}
	name := argument.Argument
	if flag, ok := flagsOfClient()[name]; ok {
		name = flag
	}
	return fmt.Errorf("%s: %s", name, reason)
}

const baseURLFlag = "--base-url (TOKENWIRE_BASE_URL)"

// flagsOfClient are the flags that give the client its arguments.
func flagsOfClient() map[string]string {
	return map[string]string{
		"WithBaseURL": baseURLFlag, "SubprojectID": "--subproject-id", "TokenID": "--token-id", "Grace": "--grace",
		"IdempotencyKey": "--idempotency-key", "account ID": "--account (TOKENWIRE_ACCOUNT)", "id": "<TOKEN-ID>",
		"Name": "--name", "Permissions": "--permission",
	}
}

// withPath adds what may be why nothing was found. The client appends the paths of the API, which begin with /api/, to the base URL's.
func withPath(err error, answer *client.Error) error {
	path, _, ok := strings.Cut(answer.Path, "/api/")
	if answer.Status != http.StatusNotFound || !ok || path == "" {
		return err
	}
	return fmt.Errorf("%w; %s ends in %s: leave that out, unless the API is below it", err, baseURLFlag, path)
}

type tokenCreateCmd struct {
	apiFlags
	Name         string     `env:"TOKENWIRE_TOKEN_NAME" required:"" placeholder:"NAME" help:"What people call the token; at most 255 characters."`
	Permissions  []string   `name:"permission" short:"p" env:"TOKENWIRE_TOKEN_PERMISSION" required:"" placeholder:"PERMISSION" help:"What the token may do. Repeat the flag, or separate with commas. One of: calling, chat, datasphere, fax, management, messaging, numbers, pubsub, storage, tasking, video."`
	SubprojectID string     `placeholder:"PROJECT-ID" help:"Subproject that shall own the token."`
	ExpiresAt    *time.Time `env:"TOKENWIRE_TOKEN_EXPIRES_AT" placeholder:"TIME" help:"When the token expires, such as 2027-01-31T12:00:00Z. Not at SignalWire."`
}

// Run creates a token.
func (cmd tokenCreateCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	params := client.CreateTokenParams{Name: cmd.Name, Permissions: permissions(cmd.Permissions), SubprojectID: cmd.SubprojectID}
	if cmd.ExpiresAt != nil {
		if params.ExpiresAt, err = expiry(*cmd.ExpiresAt); err != nil {
			return err
		}
	}
	token, err := c.CreateToken(ctx, params)
	if err != nil {
		return inTermsOfFlags(err)
	}
	return cmd.print(std, token)
}

type tokenUpdateCmd struct {
	apiFlags
	ownFlag
	ID            string     `arg:"" name:"TOKEN-ID" help:"The token."`
	Name          *string    `env:"TOKENWIRE_TOKEN_NAME" placeholder:"NAME" help:"New name."`
	Permissions   []string   `name:"permission" short:"p" env:"TOKENWIRE_TOKEN_PERMISSION" placeholder:"PERMISSION" xor:"permissions" help:"New permissions, in place of all that the token has. Repeat the flag, or separate with commas."`
	NoPermissions bool       `env:"TOKENWIRE_TOKEN_NO_PERMISSIONS" xor:"permissions" help:"Take all permissions away."`
	ExpiresAt     *time.Time `env:"TOKENWIRE_TOKEN_EXPIRES_AT" placeholder:"TIME" xor:"expiry" help:"When the token expires. Not at SignalWire."`
	NeverExpire   bool       `env:"TOKENWIRE_TOKEN_NEVER_EXPIRE" xor:"expiry" help:"Remove the expiry. Not at SignalWire."`
}

// Run updates a token.
func (cmd tokenUpdateCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	params, err := cmd.params()
	if err != nil {
		return err
	}
	if consequence := cmd.consequence(); consequence != "" {
		if err := cmd.check(ctx, cmd.apiFlags, c, cmd.ID, consequence); err != nil {
			return err
		}
	}
	token, err := c.UpdateToken(ctx, cmd.ID, params)
	if err != nil {
		return inTermsOfFlags(err)
	}
	return cmd.print(std, token)
}

// consequence is what is bad about an update for who calls with the token, or "".
func (cmd tokenUpdateCmd) consequence() string {
	switch {
	case cmd.NoPermissions, len(cmd.Permissions) > 0 && !slices.Contains(permissions(cmd.Permissions), client.PermissionManagement):
		return "it could not manage anything any more"
	case cmd.ExpiresAt != nil:
		return "it would expire"
	}
	return ""
}

func (cmd tokenUpdateCmd) params() (client.UpdateTokenParams, error) {
	params := client.UpdateTokenParams{Name: cmd.Name}
	switch {
	case cmd.NoPermissions:
		params.Permissions = client.NoPermissions()
	case len(cmd.Permissions) > 0:
		params.Permissions = client.SetPermissions(permissions(cmd.Permissions)...)
	}
	switch {
	case cmd.NeverExpire:
		params.Expiry = client.NeverExpire()
	case cmd.ExpiresAt != nil:
		at, err := expiry(*cmd.ExpiresAt)
		if err != nil {
			return params, err
		}
		params.Expiry = client.ExpireAt(at)
	}
	return params, nil
}

// expiry refuses the zero time, which package client takes for none.
func expiry(at time.Time) (time.Time, error) {
	if at.IsZero() {
		return at, errors.New("--expires-at must be in the future")
	}
	return at, nil
}

type tokenDeleteCmd struct {
	apiFlags
	ownFlag
	ID string `arg:"" name:"TOKEN-ID" help:"The token."`
}

// Run deletes a token.
func (cmd tokenDeleteCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	if err := cmd.check(ctx, cmd.apiFlags, c, cmd.ID, "you could not call with it any more"); err != nil {
		return err
	}
	if err := c.DeleteToken(ctx, cmd.ID); err != nil {
		return inTermsOfFlags(err)
	}
	if cmd.JSON {
		return writeJSON(std.out, map[string]any{"id": cmd.ID, "deleted": true})
	}
	_, err = fmt.Fprintf(std.out, "Deleted token %s.\n", cmd.ID)
	return err
}

type tokenJSON struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Permissions []client.Permission `json:"permissions"`
	Token       string              `json:"token"`
}

// print shows a token with its secret: who creates one needs it, and the API returns it.
func (f apiFlags) print(std streams, token *client.Token) error {
	if token == nil {
		return errors.New("the server answered without a token")
	}
	if f.JSON {
		return writeJSON(std.out, tokenJSON{token.ID, token.Name, token.Permissions, token.Secret.Reveal()})
	}
	return writeTable(std.out, []string{"TOKEN ID", "NAME", "PERMISSIONS", "API TOKEN"},
		[][]string{{token.ID, token.Name, joined(token.Permissions), token.Secret.Reveal()}})
}

// joined shows a set of permissions in a cell.
func joined(permissions []client.Permission) string {
	if len(permissions) == 0 {
		return "-"
	}
	names := make([]string, 0, len(permissions))
	for _, permission := range permissions {
		names = append(names, string(permission))
	}
	return strings.Join(names, ",")
}

func permissions(names []string) []client.Permission {
	list := make([]client.Permission, 0, len(names))
	for _, name := range names {
		list = append(list, client.Permission(strings.TrimSpace(name)))
	}
	return list
}

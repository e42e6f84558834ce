package main

import (
	"context"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

type accountCmd struct {
	Create accountCreateCmd `cmd:"" help:"Create a subproject of the authenticated project."`
	List   accountListCmd   `cmd:"" help:"List the authenticated project and its subprojects."`
	Show   accountShowCmd   `cmd:"" help:"Show the authenticated project, or with --account a subproject."`
	Update accountUpdateCmd `cmd:"" help:"Rename the authenticated project, or with --account a subproject."`
}

// Help names the environment that the official SDKs read too.
func (accountCmd) Help() string { return environmentHelp }

type accountCreateCmd struct {
	apiFlags
	Name string `env:"TOKENWIRE_ACCOUNT_NAME" required:"" placeholder:"NAME" help:"What people call the account; at most 250 characters."`
}

// Run creates an account.
func (cmd accountCreateCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.ownClient()
	if err != nil {
		return err
	}
	account, err := c.CreateAccount(ctx, client.CreateAccountParams{Name: cmd.Name})
	if err != nil {
		return inTermsOfFlags(err)
	}
	return cmd.printAccount(std, account)
}

type accountListCmd struct {
	apiFlags
	Name string `env:"TOKENWIRE_LIST_NAME" placeholder:"NAME" help:"Only accounts with exactly this name."`
}

// Run lists accounts.
func (cmd accountListCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.ownClient()
	if err != nil {
		return err
	}
	accounts := []accountJSON{}
	for account, err := range c.ListAccounts(ctx, client.ListAccountsParams{Name: cmd.Name, PageSize: cliPageSize}) {
		if err != nil {
			return inTermsOfFlags(err)
		}
		accounts = append(accounts, newAccountJSON(account))
	}
	if cmd.JSON {
		return writeJSON(std.out, accounts)
	}
	return writeAccounts(std, accounts...)
}

type accountShowCmd struct{ apiFlags }

// Run shows an account.
func (cmd accountShowCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	account, err := c.GetAccount(ctx)
	if err != nil {
		return inTermsOfFlags(err)
	}
	return cmd.printAccount(std, account)
}

type accountUpdateCmd struct {
	apiFlags
	Name string `env:"TOKENWIRE_ACCOUNT_NAME" required:"" placeholder:"NAME" help:"New name."`
}

// Run renames an account.
func (cmd accountUpdateCmd) Run(ctx context.Context, std streams) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	account, err := c.RenameAccount(ctx, cmd.Name)
	if err != nil {
		return inTermsOfFlags(err)
	}
	return cmd.printAccount(std, account)
}

type accountJSON struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	OwnerID    string    `json:"owner_id"`
	Subproject bool      `json:"subproject"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	SigningKey string    `json:"signing_key,omitempty"`
}

func newAccountJSON(account *client.Account) accountJSON {
	return accountJSON{
		ID: account.ID, Name: account.Name, OwnerID: account.OwnerID, Subproject: account.Subproject,
		CreatedAt: account.CreatedAt, UpdatedAt: account.UpdatedAt, SigningKey: account.SigningKey.Reveal(),
	}
}

func (f apiFlags) printAccount(std streams, account *client.Account) error {
	if f.JSON {
		return writeJSON(std.out, newAccountJSON(account))
	}
	return writeAccounts(std, newAccountJSON(account))
}

func writeAccounts(std streams, accounts ...accountJSON) error {
	headings := []string{"PROJECT ID", "NAME", "OWNER", "CREATED", "UPDATED"}
	withKey := len(accounts) == 1 && accounts[0].SigningKey != ""
	if withKey { // it is shown once
		headings = append(headings, "SIGNING KEY")
	}
	rows := make([][]string, 0, len(accounts))
	for _, account := range accounts {
		owner := "-"
		if account.Subproject {
			owner = account.OwnerID
		}
		row := []string{account.ID, account.Name, owner, moment(account.CreatedAt), moment(account.UpdatedAt)}
		if withKey {
			row = append(row, account.SigningKey)
		}
		rows = append(rows, row)
	}
	return writeTable(std.out, headings, rows)
}

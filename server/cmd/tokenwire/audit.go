package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

type auditCmd struct {
	List auditListCmd `cmd:"" help:"List the changes to the account, its subprojects and their tokens, newest first. Not at SignalWire."`
}

// Help names the environment that the official SDKs read too.
func (auditCmd) Help() string { return environmentHelp }

type auditListCmd struct {
	apiFlags
	Action  string    `placeholder:"ACTION" help:"Only one kind of change: account.created, account.updated, token.created, token.updated, token.rotated or token.deleted."`
	TokenID string    `placeholder:"TOKEN-ID" help:"Only changes to this token."`
	From    time.Time `placeholder:"TIME" help:"Only changes of this time and later, such as 2026-11-23T09:30:00Z."`
	Until   time.Time `placeholder:"TIME" help:"Only changes before this time."`
	Limit   int       `default:"100" placeholder:"N" help:"Show at most so many; 0 shows all. (default: ${default})"`
}

// Run lists events.
func (cmd auditListCmd) Run(ctx context.Context, std streams) error {
	if cmd.Limit < 0 {
		return errors.New("--limit must be 0 or more; 0 shows all")
	}
	c, err := cmd.client()
	if err != nil {
		return err
	}
	params := client.ListAuditEventsParams{Action: cmd.Action, TokenID: cmd.TokenID, From: cmd.From, Until: cmd.Until, PageSize: cliPageSize}
	if cmd.Limit > 0 {
		params.PageSize = min(cmd.Limit, cliPageSize)
	}
	events := []*client.AuditEvent{}
	for event, err := range c.ListAuditEvents(ctx, params) {
		if err != nil {
			return inTermsOfFlags(err)
		}
		if events = append(events, event); len(events) == cmd.Limit {
			break
		}
	}
	if cmd.JSON {
		return writeJSON(std.out, events)
	}
	rows := make([][]string, 0, len(events))
	for _, event := range events {
		rows = append(rows, []string{
			moment(event.Time), event.Action, event.ProjectID, orDash(event.TokenID), orDash(event.Actor.TokenID), orDash(event.Actor.Address), describe(event.Changes),
		})
	}
	return writeTable(std.out, []string{"TIME", "ACTION", "ACCOUNT", "TOKEN ID", "BY TOKEN", "FROM", "CHANGES"}, rows)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// describe shows changes in a cell: name: "Old" → "New".
func describe(changes map[string]client.ValueChange) string {
	parts := make([]string, 0, len(changes))
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		change := changes[name]
		part := fmt.Sprintf("%s: %s", name, value(change.New))
		if change.Old != nil {
			part = fmt.Sprintf("%s: %s → %s", name, value(change.Old), value(change.New))
		}
		parts = append(parts, part)
	}
	return orDash(strings.Join(parts, ", "))
}

func value(v any) string {
	if v == nil {
		return "none"
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(text.String())
}

package contract_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// listMutants break the pages of lists, and what is found on them.
func listMutants() []mutant {
	list, tokens, all := on("GET", accountList), on("GET", tokensPath), on("GET", "/(Accounts|tokens|audit_events)(\\.json)?$")
	return []mutant{
		{name: "a page repeats the last item of the page before it", cases: []string{"pages.links", "ext.pages.links"}, handler: repeats},
		{name: "a page leaves its last item out", cases: []string{"pages.links", "ext.pages.links"}, handler: members(all, 200, func(page map[string]any) {
			for _, name := range []string{"accounts", "tokens"} {
				if items, _ := page[name].([]any); len(items) > 0 && page["next_page_uri"] != nil {
					page[name] = items[:len(items)-1]
				}
			}
		})},
		{name: "a list has one page", cases: []string{"pages.links", "pages.filter", "ext.pages.links", "ext.audit.links"}, handler: set(all, 200, "next_page_uri", nil)},
		{name: "a list never ends", cases: []string{"pages.links", "accounts.list"}, handler: members(all, 200, func(page map[string]any) {
			if page["next_page_uri"] == nil {
				page["next_page_uri"] = page["first_page_uri"]
			}
		})},
		{name: "there is no way back", cases: []string{"pages.links", "pages.filter"}, handler: set(all, 200, "previous_page_uri", nil)},
		{name: "the first page has one before it", cases: []string{"pages.default", "pages.links"}, handler: members(all, 200, func(page map[string]any) {
			if page["previous_page_uri"] == nil {
				page["previous_page_uri"] = page["uri"]
			}
		})},
		{name: "pages are counted from 1", cases: []string{"pages.default", "ext.list.answer"}, handler: members(all, 200, func(page map[string]any) {
			if number, ok := page["page"].(float64); ok {
				page["page"] = number + 1
			}
		})},
		{name: "links are whole URLs", cases: []string{"pages.default"}, handler: members(all, 200, func(page map[string]any) {
			if uri, ok := page["uri"].(string); ok {
				page["uri"] = "https://example.com" + uri
			}
		})},
		{name: "links forget the filter", cases: []string{"pages.filter"}, handler: members(list, 200, func(page map[string]any) {
			for _, name := range []string{"next_page_uri", "previous_page_uri"} {
				if uri, ok := page[name].(string); ok {
					before, _, _ := strings.Cut(uri, "FriendlyName=")
					_, after, _ := strings.Cut(uri, "&")
					page[name] = before + after
				}
			}
		})},
		{name: "the first page is called the last", cases: []string{"pages.links"}, handler: members(all, 200, func(page map[string]any) {
			page["first_page_uri"] = page["uri"]
		})},
		{name: "a page has 20 items when nothing is said", cases: []string{"pages.default"}, handler: query(all, func(values map[string][]string) {
			if len(values["PageSize"]) == 0 {
				values["PageSize"] = []string{"20"}
			}
		})},
		{name: "PageSize is ignored", cases: []string{"pages.size", "pages.links"}, handler: ignore(all, "PageSize")},
		{name: "a PageSize that is too large is cut", cases: []string{"pages.size", "ext.list.parameters"}, handler: query(all, func(values map[string][]string) {
			if slices.Equal(values["PageSize"], []string{"1001"}) {
				values["PageSize"] = []string{"1000"}
			}
		})},
		{name: "Page is ignored without a token", cases: []string{"pages.number"}, handler: query(all, func(values map[string][]string) {
			if len(values["PageToken"]) == 0 {
				delete(values, "Page")
			}
		})},
		{name: "PageToken is ignored", cases: []string{"pages.token-invalid", "pages.token-foreign", "ext.pages.stable"}, handler: ignore(all, "PageToken")},
		{name: "a bad PageToken leads to the first page", cases: []string{"pages.token-invalid", "ext.pages.token-foreign"}, handler: forgives},
		{name: "the code of a bad PageToken is 10000", cases: []string{"pages.token-invalid"}, handler: members(all, 400, func(failure map[string]any) {
			failure["code"], failure["more_info"] = 10000, "https://developer.signalwire.com/compatibility-api/rest/error-codes#10000"
		})},
		{name: "FriendlyName is ignored", cases: []string{"accounts.list.filter", "accounts.update.form"}, handler: ignore(list, "FriendlyName")},
		{name: "accounts are listed without their subprojects", cases: []string{"accounts.list", "accounts.list.filter"}, handler: members(list, 200, func(page map[string]any) {
			if accounts, ok := page["accounts"].([]any); ok {
				page["accounts"] = slices.DeleteFunc(accounts, func(account any) bool { return account.(map[string]any)["subproject"] == true })
			}
		})},
		{name: "listed accounts lack their URIs", cases: []string{"accounts.list"}, handler: members(list, 200, func(page map[string]any) {
			accounts, _ := page["accounts"].([]any)
			for _, account := range accounts {
				delete(account.(map[string]any), "subresource_uris")
			}
		})},
		{name: "NamePrefix is ignored", cases: []string{"ext.list.name-prefix", "ext.list.deleted"}, handler: ignore(tokens, "NamePrefix")},
		{name: "Permission is ignored", cases: []string{"ext.list.permission", "ext.list.parameters"}, handler: ignore(tokens, "Permission")},
		{name: "Expired is ignored", cases: []string{"ext.expiry.list"}, handler: ignore(tokens, "Expired")},
		{name: "listed tokens have their secrets", cases: []string{"ext.list.answer"}, handler: members(tokens, 200, func(page map[string]any) {
			items, _ := page["tokens"].([]any)
			for _, item := range items {
				item.(map[string]any)["token"] = "PT" + strings.Repeat("0", 48)
			}
		})},
		{name: "events come oldest first", cases: []string{"ext.audit.life", "ext.audit.filters"}, handler: members(on("GET", auditPath), 200, func(page map[string]any) {
			events, _ := page["audit_events"].([]any)
			slices.Reverse(events)
		})},
		{name: "events do not say who it was", cases: []string{"ext.audit.actor"}, handler: members(on("GET", auditPath), 200, func(page map[string]any) {
			events, _ := page["audit_events"].([]any)
			for _, event := range events {
				maps.Copy(event.(map[string]any)["actor"].(map[string]any), map[string]any{"token_id": nil})
			}
		})},
		{name: "Action is ignored", cases: []string{"ext.audit.filters", "ext.audit.parameters"}, handler: ignore(on("GET", auditPath), "Action")},
		{name: "From and Until are ignored", cases: []string{"ext.audit.filters", "ext.audit.parameters"}, handler: query(on("GET", auditPath), func(values map[string][]string) {
			delete(values, "From")
			delete(values, "Until")
		})},
	}
}

// repeats begins each page but the first with the last item of the page that was asked for before.
func repeats(next http.Handler, own servertest.Project) http.Handler {
	var mu sync.Mutex
	last := map[string]any{}
	return members(on("GET", "/(Accounts|tokens)$"), 200, func(page map[string]any) {
		mu.Lock()
		defer mu.Unlock()
		for _, name := range []string{"accounts", "tokens"} {
			items, _ := page[name].([]any)
			if len(items) == 0 {
				continue
			}
			end := items[len(items)-1]
			if page["page"] != 0.0 && last[name] != nil {
				page[name] = append([]any{last[name]}, items[:len(items)-1]...)
			}
			last[name] = end
		}
	})(next, own)
}

// forgives shows the first page to whoever has a bad token.
func forgives(next http.Handler, _ servertest.Project) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		again := r.Clone(r.Context())
		a := record(next, r)
		if a.status == http.StatusBadRequest && again.URL.Query().Has("PageToken") {
			again.URL.RawQuery = "PageSize=1"
			a = record(next, again)
		}
		a.send(w)
	})
}

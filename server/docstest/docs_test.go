//go:build browser

// Package docstest_test opens the page of the API in a headless Chromium, and makes a call through it. It needs Chromium:
// `make test-docs` gets it.
package docstest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// browser opens a Chromium that ends with the test. Complaints of pages, and requests to elsewhere, fail the test.
func browser(t *testing.T, origin string) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.WindowSize(1200, 1400))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	var mu sync.Mutex
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level != log.LevelVerbose {
				t.Errorf("the browser says: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("a script failed: %s", e.ExceptionDetails.Error())
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; !strings.HasPrefix(url, origin+"/") && !strings.HasPrefix(url, "data:") {
				t.Errorf("the page asks %s", url)
			}
		}
	})
	return ctx
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: run make test-docs, or install the package chromium")
	return ""
}

// TestTryItOut authorizes, lists the accounts through the page, and keeps a screenshot.
func TestTryItOut(t *testing.T) {
	tw := servertest.New(t, nil)
	ctx := browser(t, tw.URL)
	const operation = `#operations-Accounts-list_accounts`
	var status, body string
	var screenshot []byte
	err := chromedp.Run(ctx,
		log.Enable(), network.Enable(),
		chromedp.Navigate(tw.URL+"/docs"),
		chromedp.WaitVisible(operation),
		chromedp.Click(`button.authorize`),
		chromedp.SendKeys(`#auth-basic-username`, tw.ProjectID),
		chromedp.SendKeys(`#auth-basic-password`, tw.Token),
		chromedp.Click(`.modal-ux .auth-btn-wrapper button.authorize`),
		chromedp.Click(`.modal-ux .auth-btn-wrapper button.btn-done`),
		chromedp.Click(operation+` .opblock-summary-control`),
		chromedp.Click(operation+` button.try-out__btn`),
		chromedp.Click(operation+` button.execute`),
		chromedp.Text(operation+` .live-responses-table tbody .response-col_status`, &status),
		chromedp.Text(operation+` .live-responses-table tbody .response-col_description`, &body),
		chromedp.Evaluate(`document.querySelector("`+operation+`").scrollIntoView()`, nil),
		chromedp.CaptureScreenshot(&screenshot),
	)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(status, "200") || !strings.Contains(body, tw.ProjectID) {
		t.Errorf("the page shows %s %s", status, body)
	}
	calls, err := tw.Journal(tw.Project)
	if err != nil || len(calls) != 1 || calls[0].Operation != "list_accounts" || calls[0].Status != 200 {
		t.Errorf("the server has seen %+v (%v)", calls, err)
	}
	keep(t, "api-docs.png", screenshot)
}

// TestCatalogueInTheBrowser: the link of an error leads to its entry.
func TestCatalogueInTheBrowser(t *testing.T) {
	tw := servertest.New(t, nil)
	ctx := browser(t, tw.URL)
	var entry string
	err := chromedp.Run(ctx,
		log.Enable(), network.Enable(),
		chromedp.Navigate(tw.URL+"/docs/errors#20404"),
		chromedp.Text(`section:target`, &entry),
	)
	if err != nil || !strings.Contains(entry, "20404") || !strings.Contains(entry, "What to do") {
		t.Errorf("the entry is %q (%v)", entry, err)
	}
}

// keep writes a screenshot into the folder that SCREENSHOTS names, or into one of the test's own.
func keep(t *testing.T, name string, image []byte) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
}

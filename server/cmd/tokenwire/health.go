package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

type healthCmd struct {
	URL     string        `name:"url" env:"TOKENWIRE_HEALTH_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the server answers. (default: ${default})"`
	Timeout time.Duration `env:"TOKENWIRE_HEALTH_TIMEOUT" default:"2s" placeholder:"TIME" help:"How long to wait for the answer. (default: ${default})"`
}

// Help says what it is for.
func (healthCmd) Help() string {
	return `Exit code 0 says that the server at this URL should get traffic: its /readyz answers 200. It is for containers, which have no
other program to ask with.`
}

// Run asks a server whether it is ready.
func (cmd healthCmd) Run(ctx context.Context, std streams) error {
	ctx, cancel := context.WithTimeout(ctx, cmd.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(cmd.URL, "/")+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s answers %s", request.URL, response.Status)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<10))
	_, err = fmt.Fprintln(std.out, "ready")
	return err
}

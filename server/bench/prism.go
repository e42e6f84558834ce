package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// errNoPrism says that Node.js or npm is missing, or cannot fetch the package.
var errNoPrism = errors.New(notHere)

// startPrism starts the mock server that package-lock.json in folder pins, on the contract. Its program is called without npx, so
// that its process id is the one that has to end.
func startPrism(ctx context.Context, folder, contract string) (*server, error) {
	node, nodeErr := exec.LookPath("node")
	npm, npmErr := exec.LookPath("npm")
	if nodeErr != nil || npmErr != nil {
		return nil, fmt.Errorf("%w: there is no Node.js with npm", errNoPrism)
	}
	install := exec.CommandContext(ctx, npm, "ci", "--silent") //nolint:gosec // npm itself
	install.Dir, install.Stderr = folder, os.Stderr
	if err := install.Run(); err != nil {
		return nil, fmt.Errorf("%w: npm ci: %w", errNoPrism, err)
	}
	program, err := filepath.Abs(filepath.Join(folder, "node_modules/@stoplight/prism-cli/dist/index.js"))
	if err != nil {
		return nil, err
	}
	return startServer(ctx, node, func(address string) []string {
		host, port, _ := net.SplitHostPort(address) // it comes from a listener
		return []string{program, "mock", "--host", host, "--port", port, "--verboseLevel", "silent", "--multiprocess", "false", contract}
	})
}

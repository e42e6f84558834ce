package main

import (
	"fmt"
	"os"

	"github.com/tokenwire/tokenwire/server/guard"
)

// guardFile is the name of a file of rules for requests to other services, or "".
type guardFile string

// rules reads the file. Without one they are the server's own.
func (file guardFile) rules() (*guard.Rules, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // the server chooses
	}
	content, err := os.ReadFile(string(file))
	if err != nil {
		return nil, fmt.Errorf("cannot read the rules of --guard: %w", err)
	}
	rules, err := guard.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("--guard %s: %w", file, err)
	}
	return rules, nil
}

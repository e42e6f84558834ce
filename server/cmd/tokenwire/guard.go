package main

import (
	"fmt"
	"io"

	"github.com/tokenwire/tokenwire/server/guard"
	"github.com/tokenwire/tokenwire/server/plainfile"
)

// maxGuardFile is how long a file of rules may be: some ten thousand rules.
const maxGuardFile = 1 << 20

// guardFile is the name of a file of rules for requests to other services, or "".
type guardFile string

// rules reads the file. Without one they are the server's own.
func (file guardFile) rules() (*guard.Rules, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // the server chooses
	}
	content, err := file.read()
	if err != nil {
		return nil, fmt.Errorf("cannot read the rules of --guard: %w; give the path of a file", err)
	}
	if len(content) > maxGuardFile {
		return nil, fmt.Errorf("--guard %s: it has more than 1 MiB, and is no file of rules", file)
	}
	rules, err := guard.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("--guard %s: %w", file, err)
	}
	return rules, nil
}

// read returns what is in the file, and no more than shows that it is too long.
func (file guardFile) read() ([]byte, error) {
	f, err := plainfile.Open(string(file))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxGuardFile+1))
}

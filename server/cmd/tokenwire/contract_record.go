package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tokenwire/tokenwire/client/contract"
)

// recordingFile is what --record names. It is opened before a run, whose answers would be lost if it could not be written, and keeps
// what is in it until there are new ones.
type recordingFile struct {
	*os.File
	made bool // by this run, so that it is removed again if there is nothing to write
}

// openRecording opens a file for a recording, or none if it has no name.
func openRecording(name string) (*recordingFile, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // nothing is to be written
	}
	file, err := openOutput(name, os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		return &recordingFile{file, true}, nil
	}
	if errors.Is(err, fs.ErrExist) {
		file, err = openOutput(name, 0, 0)
	}
	return &recordingFile{File: file}, err
}

// write writes a recording in place of what is there.
func (f *recordingFile) write(recording contract.Recording) error {
	if f == nil {
		return nil
	}
	err := f.empty()
	if err == nil {
		err = recording.Write(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	f.made = false
	return nil
}

// empty makes room for what is written. Something like /dev/stdout has nothing that it could lose.
func (f *recordingFile) empty() error {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return f.Truncate(0)
}

// abandon leaves no trace of a recording that was not written.
func (f *recordingFile) abandon() {
	if f == nil {
		return
	}
	_ = f.Close() // it is closed already if it was written
	if f.made {
		_ = os.Remove(f.Name())
	}
}

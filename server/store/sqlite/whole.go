package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tokenwire/tokenwire/server/store"
)

// What SQLite's file formats say: https://www.sqlite.org/fileformat2.html and https://www.sqlite.org/walformat.html.
const (
	mainHeaderSize = 100
	mainPageSize   = 16 // where the size of a page is, two bytes; 1 is 65,536
	mainPageCount  = 28 // where the number of pages is, four bytes

	logHeaderSize   = 32
	frameHeaderSize = 24

	indexRegion     = 32 << 10 // it is as large at least
	indexHeaderSize = 48       // there are two of them, which differ while they are being written
	indexVersion    = 3007000
	indexPageSize   = 14 // as above, in the order of bytes of this machine, as all of the index
	indexLastFrame  = 16 // how many pages of the log count, four bytes
)

// indexHeaders are what an index begins with.
type indexHeaders [2 * indexHeaderSize]byte

// mainMustBeWhole refuses to go on when the database was cut while it was open.
func (f *files) mainMustBeWhole(main sight) error {
	if main.size < f.seen.Load().size && f.isMainCut(main) {
		return fmt.Errorf("%w: the database %s was cut while it was open, and is %w: stop the server and restore a backup", store.ErrUnavailable, f.path, errSpoilt)
	}
	return nil
}

// logMustBeWhole refuses to go on when the log or its index was cut while it was open: what is written behind the gap is not found
// again, and the gap itself would be moved into the database as if it were pages.
func (f *files) logMustBeWhole(log, index sight) error {
	if f.index.info == nil {
		return nil
	}
	headers, err := f.readIndex()
	switch {
	case errors.Is(err, io.EOF), err == nil && index.size < indexRegion:
		return fmt.Errorf("%w: the index %s was cut while the database was open, and is %w: start the server again, which makes a new one; nothing is lost", store.ErrUnavailable, f.index.path, errSpoilt)
	case err == nil && f.isLogCut(log, headers):
		return fmt.Errorf("%w: the log %s was cut while the database was open, and is %w: stop the server, which leaves both as they are, and restore a backup; or start it again with what they have still", store.ErrUnavailable, f.log.path, errSpoilt)
	}
	return nil // also for who cannot read: SQLite says what it means
}

// isLogCut reports whether the log is shorter than its index says.
func (f *files) isLogCut(log sight, before indexHeaders) bool {
	need, ok := before.logSize()
	if !ok || log.size >= need {
		return false
	}
	// Another process may have written more, or begun the log anew, between the looks at the one and at the other: the next look will tell.
	log, ok = f.log.look()
	after, err := f.readIndex()
	return ok && err == nil && after == before && log.size < need
}

// logSize is how large a log is at least, as its index says. False says that the index is being written, or of a kind that is not known.
func (h indexHeaders) logSize() (int64, bool) {
	first, second := h[:indexHeaderSize], h[indexHeaderSize:]
	if string(first) != string(second) || binary.NativeEndian.Uint32(first) != indexVersion {
		return 0, false
	}
	frames := int64(binary.NativeEndian.Uint32(first[indexLastFrame:]))
	if frames == 0 {
		return 0, true
	}
	return logHeaderSize + frames*(frameHeaderSize+pageSize(binary.NativeEndian.Uint16(first[indexPageSize:]))), true
}

// isMainCut tells a database that has become smaller because somebody has cut it from one that was packed (VACUUM).
func (f *files) isMainCut(main sight) bool {
	header := make([]byte, mainHeaderSize)
	if err := f.main.readAt(header); err != nil {
		return errors.Is(err, io.EOF)
	}
	pages := int64(binary.BigEndian.Uint32(header[mainPageCount:]))
	return main.size < pages*pageSize(binary.BigEndian.Uint16(header[mainPageSize:]))
}

func pageSize(stored uint16) int64 {
	if stored == 1 {
		return 1 << 16
	}
	return int64(stored)
}

// readAt reads from the beginning of a file. It returns io.EOF when there is not as much.
func (f *file) readAt(content []byte) error {
	if f.opened == nil {
		return errors.ErrUnsupported
	}
	_, err := f.opened.ReadAt(content, 0)
	return err
}

// readIndex reads what the index begins with. It is asked twice in each transaction, and so leaves nothing for the collector.
func (f *files) readIndex() (indexHeaders, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.index.readAt(f.read[:])
	return f.read, err
}

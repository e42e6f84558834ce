package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What SQLite's file formats say: https://www.sqlite.org/fileformat2.html and https://www.sqlite.org/walformat.html.
const (
	mainHeaderSize = 100
	mainPageSize   = 16 // where the size of a page is, two bytes; 1 is 65,536
	mainPageCount  = 28 // where the number of pages is, four bytes

	logHeaderSize   = 32
	frameHeaderSize = 24

	indexHeaderSize = 48 // there are two of them, which differ while they are being written
	indexVersion    = 3007000
	indexPageSize   = 14 // as above, in the order of bytes of this machine, as all of the index
	indexLastFrame  = 16 // how many pages of the log count, four bytes
)

// mustBeWhole refuses to go on when a file was cut while it was open: what is written behind the gap is not found again, and the gap
// itself would be moved into the database as if it were pages.
func (f *files) mustBeWhole(main, log sight) error {
	if main.size < f.seen.Load().size && f.isMainCut(main) {
		return fmt.Errorf("the database %s was cut while it was open, and is %w: stop the server and restore a backup", f.path, errSpoilt)
	}
	if f.index.info == nil {
		return nil
	}
	before, err := f.index.readAt(2 * indexHeaderSize)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the index %s was cut while the database was open, and is %w: start the server again, which makes a new one; nothing is lost", f.index.path, errSpoilt)
	}
	if err != nil {
		return nil //nolint:nilerr // who cannot read cannot tell; SQLite says what it means
	}
	need, ok := logSize(before)
	if !ok || log.size >= need {
		return nil
	}
	// Another process may have written more, or begun the log anew, between the looks at the one and at the other.
	log, ok = f.log.look()
	after, err := f.index.readAt(2 * indexHeaderSize)
	if !ok || err != nil || string(after) != string(before) || log.size >= need {
		return nil //nolint:nilerr // the next look will tell
	}
	return fmt.Errorf("the log %s was cut while the database was open, and is %w: stop the server, which leaves both as they are, and restore a backup; or start it again with what they have still", f.log.path, errSpoilt)
}

// logSize is how large a log is at least, as its index says. False says that the index is being written, or of a kind that is not known.
func logSize(index []byte) (int64, bool) {
	first, second := index[:indexHeaderSize], index[indexHeaderSize:]
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
	header, err := f.main.readAt(mainHeaderSize)
	if err != nil {
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

// readAt reads the first size bytes of a file. It returns io.EOF when there are not as many.
func (f *file) readAt(size int) ([]byte, error) {
	if f.opened == nil {
		return nil, errors.ErrUnsupported
	}
	content := make([]byte, size)
	_, err := f.opened.ReadAt(content, 0)
	return content, err
}

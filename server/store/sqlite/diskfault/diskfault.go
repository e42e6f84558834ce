// Package diskfault makes the disk fail under SQLite, for tests. It stands where SQLite calls the operating system, its VFS, so
// that everything above is the real thing: the pager, the write-ahead log, the adapter and the server.
//
//	disk := diskfault.Under(t, filepath.Dir(path)) // before the database is opened
//	disk.Break(diskfault.Full)
//	…
//	disk.Mend()
package diskfault

import (
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Fault is a way in which a disk fails.
type Fault int

// The ways in which a disk fails.
const (
	// Full is no space left for what is written.
	Full Fault = iota + 1
	// ReadOnly is a file system that does not take writes any more.
	ReadOnly
	// WriteError and SyncError are a disk that breaks.
	WriteError
	SyncError
	// ReadError is a disk that does not give back what it has.
	ReadError
	// OpenError is a system that opens no more files.
	OpenError
	// TruncateError is a system that does not make a file shorter. A disk that is read-only or breaks does not either.
	TruncateError
)

// Disk is a directory whose databases can fail.
type Disk struct{ dir string }

// Under returns the disk of a directory. Databases in it must be opened later. The process has one VFS, so this is for the
// programs of tests only.
func Under(tb testing.TB, dir string) Disk {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		tb.Fatal(err)
	}
	faults.install.Do(install)
	d := Disk{dir}
	tb.Cleanup(d.Mend)
	return d
}

// Break makes the disk fail from now on.
func (d Disk) Break(fault Fault) {
	faults.mu.Lock()
	defer faults.mu.Unlock()
	faults.broken[d.dir] = fault
}

// Mend makes the disk work again.
func (d Disk) Mend() {
	faults.mu.Lock()
	defer faults.mu.Unlock()
	delete(faults.broken, d.dir)
}

// faults is global because SQLite's table of file systems is.
var faults = struct { //nolint:gochecknoglobals // see above
	install sync.Once

	mu     sync.Mutex
	broken map[string]Fault
	files  map[uintptr]file // by the address of SQLite's object, which is another file's after it was closed
	// tables has, for each table of methods that SQLite has, our copy of it.
	tables map[uintptr]uintptr
	open   openFunc
}{broken: make(map[string]Fault), files: make(map[uintptr]file), tables: make(map[uintptr]uintptr)}

// file is an open file: the directory that it is in, and the methods that it had.
type file struct {
	dir     string
	methods *lib.Tsqlite3_io_methods
}

// The methods that are replaced, in SQLite's calling convention.
type (
	openFunc     func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	transferFunc func(tls *libc.TLS, file, buffer uintptr, count int32, offset int64) int32
	syncFunc     func(tls *libc.TLS, file uintptr, flags int32) int32
	truncateFunc func(tls *libc.TLS, file uintptr, size int64) int32
)

// install puts itself before the operating system.
func install() {
	tls := libc.NewTLS()
	defer tls.Close()
	lib.Xsqlite3_initialize(tls)
	vfs := (*lib.Tsqlite3_vfs)(at(lib.Xsqlite3_vfs_find(tls, 0)))
	faults.open = function[openFunc](vfs.FxOpen)
	vfs.FxOpen = pointer(openFunc(open))
}

func open(tls *libc.TLS, vfs, name, object uintptr, flags int32, outFlags uintptr) int32 {
	if name != 0 && broken(filepath.Dir(libc.GoString(name))) == OpenError {
		return lib.SQLITE_CANTOPEN
	}
	result := faults.open(tls, vfs, name, object, flags, outFlags)
	if result != lib.SQLITE_OK || name == 0 {
		return result
	}
	faults.mu.Lock()
	defer faults.mu.Unlock()
	opened := (*lib.Tsqlite3_file)(at(object))
	methods := (*lib.Tsqlite3_io_methods)(at(opened.FpMethods))
	faults.files[object] = file{filepath.Dir(libc.GoString(name)), methods}
	table, ok := faults.tables[opened.FpMethods]
	if !ok {
		table = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*methods)))
		ours := (*lib.Tsqlite3_io_methods)(at(table))
		*ours = *methods
		ours.FxRead, ours.FxWrite, ours.FxSync = pointer(transferFunc(read)), pointer(transferFunc(write)), pointer(syncFunc(flush))
		ours.FxTruncate = pointer(truncateFunc(truncate))
		faults.tables[opened.FpMethods] = table
	}
	opened.FpMethods = table
	return result
}

func read(tls *libc.TLS, object, buffer uintptr, count int32, offset int64) int32 {
	f, fault := look(object)
	if fault == ReadError {
		return lib.SQLITE_IOERR_READ
	}
	return function[transferFunc](f.methods.FxRead)(tls, object, buffer, count, offset)
}

func write(tls *libc.TLS, object, buffer uintptr, count int32, offset int64) int32 {
	f, fault := look(object)
	switch fault {
	case Full:
		return lib.SQLITE_FULL
	case ReadOnly:
		return lib.SQLITE_READONLY
	case WriteError:
		return lib.SQLITE_IOERR_WRITE
	case SyncError, ReadError, OpenError, TruncateError:
	}
	return function[transferFunc](f.methods.FxWrite)(tls, object, buffer, count, offset)
}

func flush(tls *libc.TLS, object uintptr, flags int32) int32 {
	f, fault := look(object)
	if fault == SyncError {
		return lib.SQLITE_IOERR_FSYNC
	}
	return function[syncFunc](f.methods.FxSync)(tls, object, flags)
}

func truncate(tls *libc.TLS, object uintptr, size int64) int32 {
	f, fault := look(object)
	switch fault {
	case ReadOnly:
		return lib.SQLITE_READONLY
	case WriteError, TruncateError:
		return lib.SQLITE_IOERR_TRUNCATE
	case Full, SyncError, ReadError, OpenError: // a file may become shorter on a full disk
	}
	return function[truncateFunc](f.methods.FxTruncate)(tls, object, size)
}

func broken(dir string) Fault {
	faults.mu.Lock()
	defer faults.mu.Unlock()
	return faults.broken[dir]
}

func look(object uintptr) (file, Fault) {
	faults.mu.Lock()
	defer faults.mu.Unlock()
	f := faults.files[object]
	return f, faults.broken[f.dir]
}

// at, pointer and function are how Go code that was C a moment ago calls through tables: addresses are of memory that the
// garbage collector does not know, and a function is the address of its closure.
func at(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address)) //nolint:gosec // see above
}

func pointer[F openFunc | transferFunc | syncFunc | truncateFunc](f F) uintptr {
	return *(*uintptr)(unsafe.Pointer(&f)) //nolint:gosec // see above
}

func function[F openFunc | transferFunc | syncFunc | truncateFunc](address uintptr) F {
	return *(*F)(unsafe.Pointer(&address)) //nolint:gosec // see above
}

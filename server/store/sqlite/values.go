package sqlite

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// micro and fromMicro convert times to microseconds since 1970 and back.
func micro(t time.Time) int64     { return t.UnixMicro() }
func fromMicro(t int64) time.Time { return time.UnixMicro(t).UTC() }

// optionalMicro stores the zero time as NULL.
func optionalMicro(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micro(t)
}

// optionalID stores uuid.Nil as NULL.
func optionalID(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id[:]
}

func joinPermissions(permissions []string) string {
	return strings.Join(store.PermissionSet(permissions), ",")
}

func splitPermissions(joined string) []string {
	if joined == "" {
		return []string{}
	}
	return strings.Split(joined, ",")
}

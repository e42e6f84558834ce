package postgres

import (
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tokenwire/tokenwire/server/store"
)

// micro and fromMicro convert times to microseconds since 1970 and back.
func micro(t time.Time) int64     { return t.UnixMicro() }
func fromMicro(t int64) time.Time { return time.UnixMicro(t).UTC() }

// optionalMicro stores the zero time as NULL.
func optionalMicro(t time.Time) pgtype.Int8 {
	return pgtype.Int8{Int64: micro(t), Valid: !t.IsZero()}
}

func optionalTime(t pgtype.Int8) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return fromMicro(t.Int64)
}

// id is an id as pgx knows it.
func id(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// optionalID stores uuid.Nil as NULL.
func optionalID(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: id != uuid.Nil} }

// array is the argument of unnest or ANY.
type array[T any] = pgtype.FlatArray[T]

func joinPermissions(permissions []string) string {
	return strings.Join(store.PermissionSet(permissions), ",")
}

func splitPermissions(joined string) []string {
	if joined == "" {
		return []string{}
	}
	return strings.Split(joined, ",")
}

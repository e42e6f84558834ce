package store

import "time"

// Kept returns a time as a store gives it back: in UTC, cut to microseconds. The zero time stays what it is.
func Kept(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// Later returns the later of a time that is kept and of one that shall be: what is noted never goes back.
func Later(noted, at time.Time) time.Time {
	if at = Kept(at); at.After(noted) {
		return at
	}
	return noted
}

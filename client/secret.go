package client

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is the secret of an API token: the password that goes with the Project ID. SignalWire documents
// it as "PT" and 48 hexadecimal digits. With fmt, log/slog and the JSON, XML and other text encodings it
// shows as "[redacted]", or as nothing when it is empty. Use [Secret.Reveal] to get the value, and
// [Secret.Equal] to compare: == compares identities, not values.
type Secret struct {
	// A pointer, because fmt calls no methods on unexported fields of the struct around it: a string would
	// show there, while a pointer prints as an address.
	plain *string
}

// NewSecret wraps a secret.
func NewSecret(plain string) Secret { return Secret{plain: &plain} }

// Reveal returns the secret itself. Write it only where it has to go.
func (s Secret) Reveal() string {
	if s.plain == nil {
		return ""
	}
	return *s.plain
}

// Equal reports whether both secrets have the same value. It takes no constant time.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// String returns "[redacted]", or "" for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString is [Secret.String].
func (s Secret) GoString() string { return s.String() }

// Format writes [Secret.String] whatever the verb, so that %x and %q show no more than %v does.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String())
}

// LogValue is [Secret.String] for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is [Secret.String] for encoding/json and others. There is no way back: a secret that was
// written through here cannot be read again.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Package secret makes the secrets of API tokens and keeps them safe.
//
// A secret is "PT" and 48 lower-case hexadecimal digits, as SignalWire's are: 24 random bytes. It is stored twice,
// never in plain text: as its SHA-256, to find the token that a caller presents, and sealed by a Keyset, because the
// API returns the secret when a token is updated. A Secret that is printed, logged or marshalled shows "PT…"; Reveal
// is the one way to its text.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
)

const (
	prefix      = "PT"
	randomBytes = 24
	masked      = prefix + "…"
)

// Secret is the secret of an API token. The zero value is no secret.
type Secret struct{ text string }

// New returns a new random secret.
func New() Secret {
	var random [randomBytes]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return Secret{prefix + hex.EncodeToString(random[:])}
}

// Form says in words what a secret looks like.
const Form = `"PT" followed by 48 lower-case hexadecimal digits`

// Parse returns the secret with this text. Its error does not repeat the text.
func Parse(text string) (Secret, error) {
	if !exact.MatchString(text) {
		return Secret{}, errors.New(`an API token is ` + Form)
	}
	return Secret{text}, nil
}

// LastFour returns the last four digits, by which people recognise a secret.
func (s Secret) LastFour() string { return s.text[max(0, len(s.text)-4):] }

// Hash returns the SHA-256 under which the token is found.
func (s Secret) Hash() [32]byte { return Hash(s.text) }

// Hash returns the SHA-256 of a text that may be a secret.
func Hash(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// Reveal returns the text of the secret.
func (s Secret) Reveal() string { return s.text }

// String hides the secret.
func (Secret) String() string { return masked }

// Format hides the secret from every verb of package fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue hides the secret from log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText hides the secret from encoding/json and its kin.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

var exact = regexp.MustCompile(`^PT[0-9a-f]{48}$`)

package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tokenwire/tokenwire/server/secret"
)

func TestNewHasTheVendorsForm(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		text := secret.New().Reveal()
		if parsed, err := secret.Parse(text); err != nil || parsed.Reveal() != text {
			t.Fatalf("Parse of a new secret: %v", err)
		}
		if seen[text] {
			t.Fatal("New returned the same secret twice")
		}
		seen[text] = true
	}
}

func TestParseRefusesOtherForms(t *testing.T) {
	t.Parallel()
	good := "PT" + strings.Repeat("0a", 24)
	for _, text := range []string{
		"", "PT", good[:49], good + "0", " " + good, good + "\n", "pt" + good[2:], strings.ToUpper(good),
		"PT" + strings.Repeat("g", 48), "PT" + strings.Repeat("é", 24),
	} {
		_, err := secret.Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) succeeded", text)
		} else if len(text) > 10 && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats what may be a secret: %v", err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	s := secret.New()
	holder := struct{ S secret.Secret }{s}
	marshalled, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("text", "secret", s, "holder", holder)
	outputs := []string{
		s.String(), fmt.Sprint(s), fmt.Sprintf("%s %q %v %+v %#v %x %d", s, s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", holder, holder, &holder), string(marshalled), log.String(),
	}
	for _, output := range outputs {
		if strings.Contains(output, s.Reveal()[2:]) || !strings.Contains(output, "PT…") {
			t.Errorf("output %q shows the secret, or does not show that there is one", output)
		}
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	s := secret.New().Reveal()
	key := "PSK" + strings.Repeat("0a", 16)
	credential := "1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11:" + s
	std, raw := base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	canonical := http.CanonicalHeaderKey("x-" + s)
	percent := func(text string) string { return fmt.Sprintf("%%%X", text[0]) + text[1:] }
	every := func(format, text string) string {
		var all strings.Builder
		for _, c := range []byte(text) {
			_, _ = fmt.Fprintf(&all, format, c)
		}
		return all.String()
	}
	for text, want := range map[string]string{
		`{"signing_key":"` + key + `"}`:           `{"signing_key":"PSK…"}`,
		canonical:                                 "X-Pt…",
		std([]byte(credential)):                   "…",
		"Basic " + std([]byte(credential)) + ".":  "Basic ….",
		raw([]byte(credential)):                   "…",
		std([]byte(s)):                            "…",
		std([]byte("xy"+s)) + std([]byte(s)):      "……",
		"a/" + raw([]byte("x"+s)) + "/b":          "…",
		"/b/" + std([]byte("xy"+s)) + ",":         "…,",
		percent(std([]byte(credential))):          "%…",
		"?a=" + percent(s) + "&b=%20":             "?a=PT…&b= ",
		every("%%%02x", s):                        "PT…",
		every("%%25%02X", s):                      "PT…",
		`{"\u0050` + s[1:] + `":1,"\n":"\u00e9"}`: `{"PT…":1,"\n":"é"}`,
		every(`\u%04x`, s):                        "PT…",
		`"` + strings.ReplaceAll(std([]byte("???>>>"+s)), "/", `\/`) + `"`:          `"Pz8\…"`,
		url.QueryEscape(std([]byte("???>>>" + s))):                                  "Pz8%2FPj4%…%3D",
		"100 %, 50%20 and \\u12":                                                    "100 %, 50%20 and \\u12",
		std([]byte(strings.Repeat("x", 100))):                                       std([]byte(strings.Repeat("x", 100))),
		"/api/laml/2010-04-01/Accounts/1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11/tokens": "/api/laml/2010-04-01/Accounts/1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11/tokens",
		"":                           "",
		"PT is no secret":            "PT is no secret",
		s:                            "PT…",
		"a " + s + ", b " + s + "x":  "a PT…, b PT…x",
		strings.ToUpper(s) + " loud": "PT… loud",
	} {
		if got := secret.Mask(text); got != want {
			t.Errorf("Mask(%q) = %q, want %q", text, got, want)
		}
	}
}

func BenchmarkMaskPath(b *testing.B) {
	for b.Loop() {
		secret.Mask("/api/laml/2010-04-01/Accounts/1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11/tokens/ea14556a-984f-11ee-b9d1-0242ac120002")
	}
}

func TestSealedSecretsOpenOnlyForTheirToken(t *testing.T) {
	t.Parallel()
	keyset, other := newKeyset(t), newKeyset(t)
	rapid.Check(t, func(t *rapid.T) {
		s, id := secret.New(), uuid.New()
		sealed, err := keyset.Seal(id, s)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(sealed), s.Reveal()) {
			t.Fatal("the sealed form shows the secret")
		}
		opened, err := keyset.Open(id, sealed)
		if err != nil || opened != s {
			t.Fatalf("Open: %v", err)
		}
		if _, err := keyset.Open(uuid.New(), sealed); !errors.Is(err, secret.ErrKeysetMismatch) {
			t.Fatalf("Open for another token: %v", err)
		}
		if _, err := other.Open(id, sealed); !errors.Is(err, secret.ErrKeysetMismatch) {
			t.Fatalf("Open with another keyset: %v", err)
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "damaged byte")] ^= 1
		if _, err := keyset.Open(id, sealed); !errors.Is(err, secret.ErrKeysetMismatch) {
			t.Fatalf("Open of a damaged value: %v", err)
		}
	})
}

func TestSignaturesVerifyOnlyForTheirPurpose(t *testing.T) {
	t.Parallel()
	keyset, other := newKeyset(t), newKeyset(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		purpose := rapid.String().Draw(t, "purpose")
		signed := keyset.Sign(purpose, text)
		if verified, err := keyset.Verify(purpose, signed); err != nil || !bytes.Equal(verified, text) {
			t.Fatalf("Verify: %v", err)
		}
		for what, refused := range map[string]error{
			"another purpose": verify(keyset, purpose+"x", signed),
			"another keyset":  verify(other, purpose, signed),
			"a cut value":     verify(keyset, purpose, signed[:rapid.IntRange(0, len(signed)-1).Draw(t, "length")]),
		} {
			if !errors.Is(refused, secret.ErrKeysetMismatch) {
				t.Fatalf("Verify for %s: %v", what, refused)
			}
		}
		signed[rapid.IntRange(0, len(signed)-1).Draw(t, "damaged byte")] ^= 1
		if err := verify(keyset, purpose, signed); !errors.Is(err, secret.ErrKeysetMismatch) {
			t.Fatalf("Verify of a damaged value: %v", err)
		}
	})
}

func verify(keyset *secret.Keyset, purpose string, signed []byte) error {
	_, err := keyset.Verify(purpose, signed)
	return err
}

func TestCheckTellsKeysetsApart(t *testing.T) {
	t.Parallel()
	keyset, other := newKeyset(t), newKeyset(t)
	check, err := keyset.Check()
	if err != nil {
		t.Fatal(err)
	}
	if !keyset.Fits(check) || other.Fits(check) || keyset.Fits(nil) {
		t.Error("Fits does not tell keysets apart")
	}
}

func TestKeysetFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	if _, err := secret.LoadKeyset(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("LoadKeyset without a file: %v", err)
	}
	created, err := secret.CreateKeyset(path)
	if err != nil {
		t.Fatal(err)
	}
	check, err := created.Check()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secret.CreateKeyset(path); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("CreateKeyset over a file: %v", err)
	}
	loaded, err := secret.LoadKeyset(path)
	if err != nil || !loaded.Fits(check) {
		t.Fatalf("LoadKeyset: %v", err)
	}
	if err := verify(loaded, "purpose", created.Sign("purpose", []byte("text"))); err != nil {
		t.Errorf("a signature from before the file was loaded: %v", err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Fatalf("the directory has %d files (%v), want the keyset alone", len(files), err)
	}
}

func TestKeysetFileModes(t *testing.T) {
	t.Parallel()
	for mode, allowed := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o640: true, 0o440: true,
		0o644: false, 0o604: false, 0o660: false, 0o620: false, 0o602: false, 0o777: false,
	} {
		path := filepath.Join(t.TempDir(), "keyset.json")
		if _, err := secret.CreateKeyset(path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("a new keyset has mode %v (%v)", info.Mode(), err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.LoadKeyset(path); (err == nil) != allowed {
			t.Errorf("mode %#o: %v, want allowed %v", mode, err, allowed)
		}
	}
}

func TestKeysetFileThatIsNone(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{}", "no keyset", `{"primaryKeyId":1,"key":[]}`} {
		path := filepath.Join(t.TempDir(), "keyset.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := secret.LoadKeyset(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("content %q: error %v, want one line with the path", content, err)
		}
	}
}

func newKeyset(t *testing.T) *secret.Keyset {
	t.Helper()
	keyset, err := secret.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return keyset
}

// TestMissingKeyset: a file that is not there has no owner and no mode that could be wrong.
func TestMissingKeyset(t *testing.T) {
	t.Parallel()
	_, err := secret.LoadKeyset(filepath.Join(t.TempDir(), "keyset"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasSuffix(err.Error(), "; put the one of this database there, or name it with --keyset") {
		t.Errorf("%v", err)
	}
}

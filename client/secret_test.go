package client_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/client"
)

func TestSecretIsNotShown(t *testing.T) {
	t.Parallel()
	tok := client.Token{ID: tokenID, Name: "N", Secret: client.NewSecret(secret)}
	hidden := struct{ token client.Token }{tok}
	c, err := newDefault(client.WithSpace("example"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("made", "token", tok, "pointer", &tok, "secret", tok.Secret, "hidden", hidden, "client", c)
	}
	shown := map[string]string{"slog": log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3v", "%p"} {
		for name, v := range map[string]any{
			"secret": tok.Secret, "token": tok, "pointer": &tok, "slice": []client.Token{tok}, "hidden": hidden,
			"client": c, "client value": *c,
		} {
			shown[name+" "+verb] = fmt.Sprintf(verb, v)
		}
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "xml": xml.Marshal} {
		text, err := marshal(tok)
		if err != nil {
			t.Fatal(err)
		}
		shown[name] = string(text)
	}
	for name, text := range shown {
		for _, plain := range []string{secret, apiToken} {
			if strings.Contains(text, plain) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", plain)) {
				t.Errorf("%s shows a secret: %s", name, text)
			}
		}
	}
	if want := `{"id":"` + tokenID + `","name":"N","permissions":null,"token":"[redacted]"}`; shown["json"] != want {
		t.Errorf("json %s", shown["json"])
	}
	if !strings.Contains(shown["slog"], "secret=[redacted]") {
		t.Errorf("slog %s", shown["slog"])
	}
}

func TestSecretValue(t *testing.T) {
	t.Parallel()
	s := client.NewSecret(secret)
	if s.Reveal() != secret || s.IsZero() || !s.Equal(client.NewSecret(secret)) || s.Equal(client.Secret{}) {
		t.Error("a secret does not keep its value")
	}
	if !reflect.DeepEqual(s, client.NewSecret(secret)) {
		t.Error("equal secrets differ for reflect.DeepEqual")
	}
	var zero client.Secret
	if zero.Reveal() != "" || !zero.IsZero() || fmt.Sprint(zero) != "" {
		t.Error("the zero secret is not empty")
	}
	if got := []string{fmt.Sprint(s), s.String(), s.GoString(), s.LogValue().String()}; strings.Join(got, " ") !=
		"[redacted] [redacted] [redacted] [redacted]" {
		t.Errorf("got %q", got)
	}
	// What was redacted must not come back as a secret.
	var back client.Token
	if err := json.Unmarshal([]byte(`{"token":"[redacted]"}`), &back); err == nil {
		t.Error("a redacted secret was read back")
	}
}

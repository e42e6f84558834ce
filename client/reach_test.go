package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenwire/tokenwire/client"
)

// secureServer returns a server for HTTPS with a certificate that nobody trusts.
func secureServer(t *testing.T) *httptest.Server {
	t.Helper()
	secure := httptest.NewUnstartedServer(answer(200, tokenBody))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	return secure
}

// alerting returns the URL of what answers a request that is not encrypted by an alert of TLS, as OpenSSL does.
func alerting(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "\x15\x03\x01\x00\x02\x02\x46")
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

// TestNoAPIThere: who calls where there is no API is told what to do about it.
func TestNoAPIThere(t *testing.T) {
	t.Parallel()
	secure := secureServer(t)
	trusting := x509.NewCertPool()
	trusting.AddCert(secure.Certificate())
	trust := client.WithHTTPClient(&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusting, MinVersion: tls.VersionTLS12}}})
	plain := httptest.NewServer(answer(200, tokenBody))
	t.Cleanup(plain.Close)
	gone := httptest.NewServer(answer(200, tokenBody))
	gone.Close()
	nginx := httptest.NewServer(answer(400, "<html>The plain HTTP request was sent to HTTPS port</html>", "Content-Type", "text/html"))
	t.Cleanup(nginx.Close)
	text := httptest.NewServer(answer(400, "This combination of host and port requires TLS.", "Content-Type", "text/plain"))
	t.Cleanup(text.Close)
	honest := httptest.NewServer(answer(400, `{"code":20001,"message":"no HTTPS here","more_info":"x","status":400}`))
	t.Cleanup(honest.Close)
	unknown := roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "tokens.invalid", IsNotFound: true}
	})
	port := secure.URL[strings.LastIndex(secure.URL, ":"):]
	for name, c := range map[string]struct {
		url, want string
		opts      []client.Option
	}{
		"http to https":           {"http" + strings.TrimPrefix(secure.URL, "https"), "begin the base URL with https://", nil}, // Go says why to a POST alone
		"http to nginx":           {nginx.URL, "400 Bad Request: the server speaks HTTPS: begin the base URL with https://", nil},
		"http to Tomcat":          {text.URL, "400 Bad Request: the server speaks HTTPS: begin the base URL with https://", nil},
		"http to OpenSSL":         {alerting(t), "; the server speaks HTTPS: begin the base URL with https://", nil},
		"https to http":           {"https" + strings.TrimPrefix(plain.URL, "http"), "; the server speaks plain HTTP: begin the base URL with http://", nil},
		"an authority of its own": {secure.URL, "; to trust that authority, set SSL_CERT_FILE", nil},
		"a name of its own":       {"https://localhost" + port, "; call the server by a name that is in its certificate", []client.Option{trust}},
		"nobody there":            {gone.URL, "connection refused; nothing listens there: start the server, or correct the base URL", nil},
		"no such host":            {gone.URL, "; check the base URL, or the name of the Space", []client.Option{client.WithHTTPClient(&http.Client{Transport: unknown})}},
		"an answer of the API":    {honest.URL, "400 Bad Request: no HTTPS here (code 20001)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, err := client.New(projectID, apiToken, append([]client.Option{client.WithBaseURL(c.url), client.WithRetries(0)}, c.opts...)...)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []call{create(), update()} {
				err := call.do(t.Context(), made)
				if err == nil || !strings.HasPrefix(err.Error(), call.name+" token: ") || !strings.Contains(err.Error(), c.want) {
					t.Errorf("the error is %v, want %q in it", err, c.want)
				}
			}
		})
	}
}

// TestAdviceKeepsTheError: what net/http has said is to be had still.
func TestAdviceKeepsTheError(t *testing.T) {
	t.Parallel()
	c, err := client.New(projectID, apiToken, client.WithBaseURL(secureServer(t).URL))
	if err != nil {
		t.Fatal(err)
	}
	err = update().do(t.Context(), c)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("the error is %v", err)
	}
}

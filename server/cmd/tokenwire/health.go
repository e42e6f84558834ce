package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwire/tokenwire/server/plainfile"
)

// healthCmd has some flags of serve, and so their variables: where the server is told where to listen, it is known where to ask.
type healthCmd struct {
	URL      string        `name:"url" env:"TOKENWIRE_HEALTH_URL" placeholder:"URL" help:"Where the server answers, if that is not what the flags below say, which are those of serve."`
	Timeout  time.Duration `env:"TOKENWIRE_HEALTH_TIMEOUT" default:"2s" placeholder:"TIME" help:"How long to wait for the answer. (default: ${default})"`
	Addr     string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address that the server listens on. (default: ${default})"`
	TLSCert  string        `name:"tls-cert" placeholder:"FILE" help:"Certificate of the server, which is trusted. It turns HTTPS on."`
	DevTLS   bool          `name:"dev-tls" help:"Ask a server with --dev-tls by HTTPS."`
	DevTLSCA string        `name:"dev-tls-ca" default:"tokenwire-ca.pem" placeholder:"FILE" help:"Its authority's certificate. (default: ${default})"`
}

// Help says what it is for.
func (healthCmd) Help() string {
	return `Exit code 0 says that the server should get traffic: its /readyz answers 200. It is for containers, which have no other program to
ask with.`
}

// Run asks a server whether it is ready.
func (cmd healthCmd) Run(ctx context.Context, std streams) error {
	ctx, cancel := context.WithTimeout(ctx, cmd.Timeout)
	defer cancel()
	url, client, err := cmd.server(ctx)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url, "/")+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusBadRequest && wantsTLS(response.Body) {
		return fmt.Errorf("not ready: %s is a server with TLS; give health what serve has of --tls-cert, --dev-tls and --dev-tls-ca, or a --url with https://", request.URL.Host)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s answers %s", request.URL, response.Status)
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 1<<10)); err != nil {
		return fmt.Errorf("not ready: the answer of %s is cut off: %w", request.URL, err)
	}
	_, err = fmt.Fprintln(std.out, "ready")
	return err
}

// wantsTLS knows what Go's servers answer who speaks plain HTTP to one with TLS.
func wantsTLS(body io.Reader) bool {
	text, err := io.ReadAll(io.LimitReader(body, 1<<10))
	return err == nil && strings.HasPrefix(string(text), "Client sent an HTTP request to an HTTPS server")
}

// server returns where to ask, and who asks.
func (cmd healthCmd) server(ctx context.Context) (string, *http.Client, error) {
	if cmd.URL != "" {
		return cmd.URL, http.DefaultClient, nil
	}
	address, err := cmd.address(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("--addr: %w", err)
	}
	transport := &http.Transport{}
	if !cmd.DevTLS && cmd.TLSCert == "" {
		return "http://" + address, &http.Client{Transport: transport}, nil
	}
	if cmd.DevTLS {
		transport.TLSClientConfig, err = trust(cmd.DevTLSCA, func(*x509.Certificate) string { return "localhost" })
	} else {
		transport.TLSClientConfig, err = trust(cmd.TLSCert, anyName)
	}
	if err != nil {
		return "", nil, fmt.Errorf("not ready: the certificate cannot be read: %w", err)
	}
	return "https://" + address, &http.Client{Transport: transport}, nil
}

// address is one of those that the server listens on.
func (cmd healthCmd) address(ctx context.Context) (string, error) {
	host, service, err := net.SplitHostPort(cmd.Addr)
	if err != nil {
		return "", err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return "", err
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1" // an unspecified IPv6 address takes IPv4 too
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// trust returns what accepts the certificates in a file and no other, for the name that the first one is asked for.
func trust(file string, name func(*x509.Certificate) string) (*tls.Config, error) {
	text, err := plainfile.Read(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	block, _ := pem.Decode(text)
	if block == nil || !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(file + " has no certificate in PEM")
	}
	first, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool, ServerName: name(first), MinVersion: tls.VersionTLS12}, nil
}

// anyName is one that a certificate is good for: it is known whose it is.
func anyName(c *x509.Certificate) string {
	for _, name := range c.DNSNames {
		return strings.Replace(name, "*", "tokenwire", 1)
	}
	for _, address := range c.IPAddresses {
		return address.String()
	}
	return ""
}

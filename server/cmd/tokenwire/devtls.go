package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

type devTLSFlags struct {
	DevTLS     bool     `name:"dev-tls" help:"Serve HTTPS for localhost with a certificate of a certificate authority that is made now, and write the authority's certificate to --dev-tls-ca. Its key is never written."`
	DevTLSName []string `name:"dev-tls-name" placeholder:"NAME" help:"Further host name or IP address for the certificate. May be repeated."`
	DevTLSCA   string   `name:"dev-tls-ca" default:"tokenwire-ca.pem" placeholder:"FILE" help:"File for the authority's certificate. (default: ${default})"`
}

// devTLSLifetime is as long as the strictest of the clients accepts.
const devTLSLifetime = 397 * 24 * time.Hour

// config makes an authority and a certificate, and writes the authority's own to its file. The keys stay in memory: what trusts
// the file trusts this process and no other.
func (f devTLSFlags) config() (*tls.Config, error) {
	authority, authorityKey, err := f.authority()
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for --dev-tls: %w", err)
	}
	template := certificateTemplate("localhost")
	template.DNSNames, template.IPAddresses = f.names()
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), authorityKey)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for --dev-tls: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
	if err := os.WriteFile(f.DevTLSCA, text, 0o644); err != nil { //nolint:gosec // it is public: the key is not in it
		return nil, fmt.Errorf("cannot write the authority's certificate: %w; choose another file with --dev-tls-ca", err)
	}
	return tlsConfig(tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}), nil
}

// authority makes a certificate authority that can vouch for these names only.
func (f devTLSFlags) authority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key for --dev-tls: %w", err)
	}
	template := certificateTemplate("tokenwire development CA")
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	names, addresses := f.names()
	template.PermittedDNSDomainsCritical, template.PermittedDNSDomains = true, names
	for _, address := range addresses {
		bits := 8 * len(address)
		template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: address, Mask: net.CIDRMask(bits, bits)})
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make an authority for --dev-tls: %w", err)
	}
	parsed, err := x509.ParseCertificate(raw)
	return parsed, key, err
}

// names returns the host names and the addresses that the certificate is for.
func (f devTLSFlags) names() ([]string, []net.IP) {
	names, addresses := []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
	for _, name := range f.DevTLSName {
		address := net.ParseIP(name)
		switch {
		case address == nil:
			names = append(names, name)
		case address.To4() != nil:
			addresses = append(addresses, address.To4())
		default:
			addresses = append(addresses, address)
		}
	}
	return names, addresses
}

func certificateTemplate(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		serial = big.NewInt(time.Now().UnixNano()) // crypto/rand does not fail
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(devTLSLifetime),
	}
}

// explain prints how each official SDK is told to trust the authority.
func (f devTLSFlags) explain(out io.Writer) error {
	path, err := filepath.Abs(f.DevTLSCA)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `HTTPS uses a certificate that was made for this start. To trust it, and this process alone:

  Node.js     export NODE_EXTRA_CA_CERTS='%[1]s'
  Python      export REQUESTS_CA_BUNDLE='%[1]s'
  Ruby, .NET  export SSL_CERT_FILE='%[1]s'
  Go          export SSL_CERT_FILE='%[1]s'
  PHP         php -d curl.cainfo='%[1]s' -d openssl.cafile='%[1]s' …
  Java        keytool -importcert -noprompt -alias tokenwire -file '%[1]s' -keystore trust.p12 -storepass changeit
              export JAVA_TOOL_OPTIONS='-Djavax.net.ssl.trustStore=trust.p12 -Djavax.net.ssl.trustStorePassword=changeit'
  curl        curl --cacert '%[1]s' …

`, path)
	return err
}

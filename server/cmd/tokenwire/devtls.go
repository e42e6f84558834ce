package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

type devTLSFlags struct {
	Enabled bool     `name:"dev-tls" help:"Serve HTTPS for localhost with a certificate of a certificate authority that is made now, and write the authority's certificate to --dev-tls-ca. Its key is never written."`
	Names   []string `name:"dev-tls-name" placeholder:"NAME" help:"Further host name or IP address for the certificate. May be repeated."`
	CAFile  string   `name:"dev-tls-ca" default:"tokenwire-ca.pem" placeholder:"FILE" help:"File for the authority's certificate. (default: ${default})"`
}

// devTLSLifetime is as long as the strictest of the clients accepts.
const devTLSLifetime = 397 * 24 * time.Hour

// config makes an authority and a certificate, and returns the authority's own in PEM as well. The keys stay in memory: who
// trusts the authority trusts this process and no other.
func (f devTLSFlags) config() (*tls.Config, []byte, error) {
	authority, authorityKey, err := f.authority()
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key for --dev-tls: %w", err)
	}
	template := certificateTemplate("localhost")
	template.DNSNames, template.IPAddresses = f.names()
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), authorityKey)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for --dev-tls: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
	return tlsConfig(tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}), text, nil
}

// publish writes the authority's certificate to its file, whole or not at all. It comes after everything that can fail: who
// uses the file trusts a server that may be running.
func (f devTLSFlags) publish(authority []byte) error {
	err := replaceFile(f.CAFile, authority)
	if err == nil {
		return nil
	}
	advice := "choose another file with --dev-tls-ca"
	if errors.Is(err, fs.ErrNotExist) {
		advice = "create the directory, or " + advice
	}
	return fmt.Errorf("cannot write the authority's certificate: %w; %s", err, advice)
}

// replaceFile gives a file another content, at once for those who read it. What everybody may read can be in it.
func replaceFile(name string, content []byte) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // such as /dev/stdout
		file, err := openOutput(name, os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		_, err = file.Write(content)
		return errors.Join(err, file.Close())
	}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if at, ok := errors.AsType[*fs.PathError](err); ok { // nobody has chosen the name that it has
		return fmt.Errorf("%s: %w", name, at.Err)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
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
	for _, name := range f.Names {
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

// certificateTemplate is what both certificates have. Their serial numbers are random.
func certificateTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(devTLSLifetime),
	}
}

// explain prints how each official SDK is told to trust the authority.
func (f devTLSFlags) explain(out io.Writer) error {
	path, err := filepath.Abs(f.CAFile)
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

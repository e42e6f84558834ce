// Package reach says what to do when a request has reached no API, but something else or nothing. The client and the conformance suite
// both meet that, and the suite must not use the client.
package reach

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

const useHTTPS = "the server speaks HTTPS: begin the base URL with https://"

// Advice says what to do about an error with which net/http got no answer. It is "" where the error has to speak for itself.
func Advice(err error) string {
	var (
		record    tls.RecordHeaderError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		dns       *net.DNSError
		sent      *url.Error
	)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the server speaks plain HTTP: begin the base URL with http://"
	case errors.As(err, &record):
		return "what listens there does not speak HTTPS: check the base URL"
	case errors.As(err, &authority):
		return "to trust that authority, set SSL_CERT_FILE to the file with its certificate; " +
			"tokenwire serve --dev-tls writes one at each start, tokenwire-ca.pem"
	case errors.As(err, &name):
		return "call the server by a name that is in its certificate; tokenwire serve --dev-tls-name puts others into it"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "check the base URL, or the name of the Space"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start the server, or correct the base URL"
	case strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`): // an alert of TLS, for which net/http has no error
		return useHTTPS
	case errors.As(err, &sent) && errors.Is(sent.Err, io.EOF) && strings.HasPrefix(sent.URL, "http://"): // as Go's servers do to PATCH and DELETE
		return "it hung up without an answer: if the server speaks HTTPS, begin the base URL with https://"
	}
	return ""
}

// AdviceOnAnswer says what to do about an answer that comes from no API: what servers for HTTPS, of all makes, say to a request that is
// not encrypted. It is "" for any other answer.
func AdviceOnAnswer(scheme string, status int, body []byte) string {
	if scheme != "http" || status != http.StatusBadRequest || json.Valid(body) {
		return ""
	}
	for _, word := range []string{"HTTPS", "TLS", "SSL"} {
		if bytes.Contains(body, []byte(word)) {
			return useHTTPS
		}
	}
	return ""
}

package client

import (
	"net/netip"
	"net/url"
	"strings"
)

const vendorDomain = ".signalwire.com"

// server returns the base URL with a slash at its end, as the generated request builders want it.
func (cfg *config) server() (string, error) {
	switch {
	case cfg.space != nil && cfg.baseURL != nil:
		return "", &ArgumentError{Argument: "WithSpace, WithBaseURL", Reason: "give one of them, not both"}
	case cfg.space != nil:
		return cfg.space.String() + "/", nil
	case cfg.baseURL == nil:
		return "", &ArgumentError{Argument: "WithSpace, WithBaseURL", Reason: "give one of them"}
	case cfg.baseURL.Scheme == "http" && !cfg.insecureHTTP && !isLoopback(cfg.baseURL.Hostname()):
		return "", &ArgumentError{
			Argument: "WithBaseURL",
			Reason:   "plain http would show the API token to the network: use https, or allow it with WithInsecureHTTP",
		}
	}
	return strings.TrimRight(cfg.baseURL.String(), "/") + "/", nil
}

// parseSpace makes the URL of a Space from its name or host; argument says what to call it in an error.
func parseSpace(argument, space string) (*url.URL, error) {
	host := strings.ToLower(strings.TrimSpace(space))
	host = strings.TrimSuffix(strings.TrimPrefix(host, "https://"), "/")
	name := strings.TrimSuffix(host, vendorDomain)
	if !isHostLabel(name) {
		return nil, &ArgumentError{
			Argument: argument,
			Reason:   "not a Space such as example or example" + vendorDomain + "; name other servers with WithBaseURL",
		}
	}
	return &url.URL{Scheme: "https", Host: name + vendorDomain}, nil
}

// isHostLabel tells whether s is one label of a host name (RFC 1123), in lower case.
func isHostLabel(s string) bool {
	const maxLabel = 63
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// parseBaseURL does not repeat the URL in its errors, because the URL may hold a password.
func parseBaseURL(raw string) (*url.URL, error) {
	refuse := func(reason string) (*url.URL, error) {
		return nil, &ArgumentError{Argument: "WithBaseURL", Reason: reason}
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return refuse("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("must begin with https:// or http://")
	case u.User != nil:
		return refuse("must not contain a user name or password; pass them to New")
	case u.Hostname() == "":
		return refuse("has no host")
	case strings.ContainsAny(raw, "?#"):
		return refuse("must not contain a query or a fragment")
	}
	for _, own := range []string{"/api/laml", "/api/project"} {
		if strings.Contains(u.Path+"/", own+"/") {
			return refuse("must end before " + own + ", which is appended to it")
		}
	}
	return u, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

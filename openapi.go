// Package tokenwire holds the contract: openapi.yaml, written by hand, from which the server interface, the client and the
// validation of requests come. The server is in package server, the client in package client.
package tokenwire

import _ "embed" // for the contract

//go:embed openapi.yaml
var document string

// OpenAPI returns the text of openapi.yaml.
func OpenAPI() string { return document }

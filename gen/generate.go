// Package gen holds what oapi-codegen makes of openapi.yaml: package serverapi has the models, the
// Echo server interface and the embedded contract, package clientapi the models and the HTTP client.
// They are separate so that a program which imports the client compiles no server framework.
//
// Nothing below this folder is edited by hand. Change openapi.yaml and run `make generate`;
// `make verify` fails when the committed code is not what the contract generates.
package gen

//go:generate go tool oapi-codegen -config serverapi.yaml ../openapi.yaml
//go:generate go tool oapi-codegen -config clientapi.yaml ../openapi.yaml

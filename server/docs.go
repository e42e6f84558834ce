package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/oasdiff/yaml"
	swaggerui "github.com/swaggest/swgui/v5/static"

	"github.com/tokenwire/tokenwire"
	"github.com/tokenwire/tokenwire/gen/serverapi"
)

// docsFiles are the pages, and what they need besides Swagger UI.
//
//go:embed docs
var docsFiles embed.FS

const (
	// contentSecurityPolicy lets the pages load their own scripts, styles and pictures, and call this server: nothing else.
	contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	// docsLifetime is how long a browser may keep a part of a page.
	docsLifetime = "public, max-age=3600"
)

// documentation is what the server says about itself. It is made when somebody asks for it first, so that the start takes no
// longer.
type documentation struct {
	yaml      []byte
	json      []byte
	catalogue []byte
	assets    map[string][]byte // what the pages use, by name
}

// errorCode is an entry of the error catalogue.
type errorCode struct {
	Code     string `json:"code"`
	Statuses []int  `json:"statuses"`
	Meaning  string `json:"meaning"`
	Remedy   string `json:"remedy"`
}

func newDocumentation() (documentation, error) {
	contract := []byte(tokenwire.OpenAPI())
	text, err := yaml.YAMLToJSON(contract)
	if err != nil {
		return documentation{}, fmt.Errorf("the contract in JSON: %w", err)
	}
	var document struct {
		Codes []errorCode `json:"x-error-codes"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return documentation{}, fmt.Errorf("the error catalogue: %w", err)
	}
	page, err := template.ParseFS(docsFiles, "docs/errors.html")
	if err != nil {
		return documentation{}, err
	}
	var catalogue bytes.Buffer
	if err := page.Execute(&catalogue, document.Codes); err != nil {
		return documentation{}, err
	}
	assets, err := readAssets()
	return documentation{contract, text, catalogue.Bytes(), assets}, err
}

// protectPage sets the headers that keep a page to itself.
func protectPage(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set(echo.HeaderContentSecurityPolicy, contentSecurityPolicy)
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		header.Set(echo.HeaderReferrerPolicy, "no-referrer")
		return next(c)
	}
}

// GetOpenapiYaml is the operation get_openapi_yaml.
func (s *Server) GetOpenapiYaml(context.Context, serverapi.GetOpenapiYamlRequestObject) (serverapi.GetOpenapiYamlResponseObject, error) {
	docs, err := s.docs()
	return serverapi.GetOpenapiYaml200ApplicationYamlResponse{Body: bytes.NewReader(docs.yaml), ContentLength: int64(len(docs.yaml))}, err
}

// GetOpenapiJSON is the operation get_openapi_json.
func (s *Server) GetOpenapiJSON(context.Context, serverapi.GetOpenapiJSONRequestObject) (serverapi.GetOpenapiJSONResponseObject, error) {
	docs, err := s.docs()
	return openapiJSON(docs.json), err
}

// openapiJSON is an answer that is not encoded anew each time: who does not take it would keep a copy.
type openapiJSON []byte

// VisitGetOpenapiJSONResponse writes the answer.
func (text openapiJSON) VisitGetOpenapiJSONResponse(w http.ResponseWriter) error {
	w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	w.Header().Set(echo.HeaderContentLength, strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(text)
	return err
}

// GetDocs is the operation get_docs.
func (s *Server) GetDocs(context.Context, serverapi.GetDocsRequestObject) (serverapi.GetDocsResponseObject, error) {
	page, err := docsFiles.ReadFile("docs/index.html")
	if err != nil {
		return nil, err
	}
	return serverapi.GetDocs200TextHTMLResponse{
		Body: bytes.NewReader(page), ContentLength: int64(len(page)),
		Headers: serverapi.GetDocs200ResponseHeaders{ContentSecurityPolicy: contentSecurityPolicy},
	}, nil
}

// GetErrorCatalogue is the operation get_error_catalogue.
func (s *Server) GetErrorCatalogue(
	context.Context, serverapi.GetErrorCatalogueRequestObject,
) (serverapi.GetErrorCatalogueResponseObject, error) {
	docs, err := s.docs()
	if err != nil {
		return nil, err
	}
	return serverapi.GetErrorCatalogue200TextHTMLResponse{
		Body: bytes.NewReader(docs.catalogue), ContentLength: int64(len(docs.catalogue)),
		Headers: serverapi.GetErrorCatalogue200ResponseHeaders{ContentSecurityPolicy: contentSecurityPolicy},
	}, nil
}

// GetDocsAsset is the operation get_docs_asset.
func (s *Server) GetDocsAsset(_ context.Context, request serverapi.GetDocsAssetRequestObject) (serverapi.GetDocsAssetResponseObject, error) {
	docs, err := s.docs()
	if err != nil {
		return nil, err
	}
	text, ok := docs.assets[request.Asset]
	if !ok {
		return nil, errNotFound
	}
	headers := serverapi.GetDocsAsset200ResponseHeaders{ContentSecurityPolicy: contentSecurityPolicy, CacheControl: docsLifetime}
	body, length := bytes.NewReader(text), int64(len(text))
	switch path.Ext(request.Asset) {
	case ".js":
		return serverapi.GetDocsAsset200TextJavascriptResponse{Body: body, ContentLength: length, Headers: headers}, nil
	case ".css":
		return serverapi.GetDocsAsset200TextCSSResponse{Body: body, ContentLength: length, Headers: headers}, nil
	}
	return serverapi.GetDocsAsset200ImagePngResponse{Body: body, ContentLength: length, Headers: headers}, nil
}

// readAssets reads what the pages use. Some of it is compressed.
func readAssets() (map[string][]byte, error) {
	assets := make(map[string][]byte)
	for name, from := range map[string]embed.FS{
		"docs/page.js": docsFiles, "docs/page.css": docsFiles, "favicon-32x32.png": swaggerui.FS,
		"swagger-ui.css.gz": swaggerui.FS, "swagger-ui-bundle.js.gz": swaggerui.FS,
	} {
		text, err := from.ReadFile(name)
		if err != nil {
			return nil, err
		}
		name, compressed := strings.CutSuffix(path.Base(name), ".gz")
		if compressed {
			if text, err = unpack(text); err != nil {
				return nil, fmt.Errorf("unpack %s: %w", name, err)
			}
		}
		assets[name] = text
	}
	return assets, nil
}

func unpack(compressed []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

package guard_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/client/guard"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// A handler of net/http that is open to tokens with the permission messaging or management.
func ExampleGuard_Require() {
	tokenwire, err := servertest.Start(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokenwire.Close() }()
	g, err := guard.New(tokenwire.URL)
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/messages", g.Require(client.PermissionMessaging, client.PermissionManagement)(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			who, _ := guard.FromContext(r.Context())
			_, _ = fmt.Fprintln(w, "Hello,", who.Permissions)
		})))
	show(mux, tokenwire.Project)
	show(mux, servertest.Project{ProjectID: tokenwire.ProjectID, Token: "guessed"})
	// Output:
	// 200 Hello, [management]
	// 401
}

// The same with Echo, by Echo's own adapter.
func ExampleGuard_Require_echo() {
	tokenwire, err := servertest.Start(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokenwire.Close() }()
	g, err := guard.New(tokenwire.URL)
	if err != nil {
		log.Fatal(err)
	}

	e := echo.New()
	e.GET("/messages", func(c echo.Context) error {
		who, _ := guard.FromContext(c.Request().Context())
		return c.String(http.StatusOK, fmt.Sprintln("Hello,", who.Permissions))
	}, echo.WrapMiddleware(g.Require(client.PermissionManagement)))
	e.GET("/faxes", func(c echo.Context) error { return c.String(http.StatusOK, "never") }, echo.WrapMiddleware(g.Require(client.PermissionFax)))
	show(e, tokenwire.Project)
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/faxes", http.NoBody)
	request.SetBasicAuth(tokenwire.ProjectID, tokenwire.Token)
	e.ServeHTTP(recorder, request)
	fmt.Println(recorder.Code)
	// Output:
	// 200 Hello, [management]
	// 403
}

func show(handler http.Handler, p servertest.Project) {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/messages", http.NoBody)
	request.SetBasicAuth(p.ProjectID, p.Token)
	handler.ServeHTTP(recorder, request)
	body, _ := io.ReadAll(recorder.Body)
	if recorder.Code != http.StatusOK {
		body = []byte("\n")
	}
	fmt.Print(recorder.Code, " ", string(body))
}

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// example runs f with a client of a fresh server, as each example needs one.
func example(f func(context.Context, *client.Client) error) {
	s, err := servertest.Start(nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.New(s.ProjectID, s.Token, client.WithBaseURL(s.URL))
	if err == nil {
		err = f(context.Background(), c)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		log.Fatal(err)
	}
}

func Example() {
	s, err := servertest.Start(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()

	// At SignalWire, client.WithSpace("example") takes the place of WithBaseURL.
	c, err := client.New(s.ProjectID, s.Token, client.WithBaseURL(s.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	token, err := c.CreateToken(ctx, client.CreateTokenParams{
		Name:        "Branch office",
		Permissions: []client.Permission{client.PermissionMessaging, client.PermissionFax},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Name, token.Permissions, token.Secret)
	fmt.Println(len(token.Secret.Reveal()), "characters")
	// Output:
	// Branch office [fax messaging] [redacted]
	// 50 characters
}

func ExampleNew_arguments() {
	_, err := client.New("my-project", "PT…", client.WithSpace("example"))
	fmt.Println(err)
	// Output: client: projectID: not a UUID like 1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11
}

func ExampleFromEnv() {
	s, err := servertest.Start(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for name, value := range map[string]string{
		"SIGNALWIRE_PROJECT_ID": s.ProjectID, "SIGNALWIRE_API_TOKEN": s.Token,
	} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = os.Unsetenv(name) }()
	}

	// The credential comes from the environment; the server is the one of this test.
	c, err := client.FromEnv(client.WithBaseURL(s.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := c.UpdateToken(context.Background(), s.TokenID, client.UpdateTokenParams{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Secret.Reveal() == s.Token)
	// Output: true
}

func ExampleClient_UpdateToken() {
	example(func(ctx context.Context, c *client.Client) error {
		token, err := c.CreateToken(ctx, client.CreateTokenParams{
			Name: "Branch office", Permissions: []client.Permission{client.PermissionFax},
		})
		if err != nil {
			return err
		}
		for _, params := range []client.UpdateTokenParams{
			{Name: new("Head office")}, // keeps the permissions
			{Permissions: client.SetPermissions(client.PermissionChat, client.PermissionVideo)}, // keeps the name
			{Permissions: client.NoPermissions()},
		} {
			token, err = c.UpdateToken(ctx, token.ID, params)
			if err != nil {
				return err
			}
			fmt.Println(token.Name, token.Permissions)
		}
		return nil
	})
	// Output:
	// Head office [fax]
	// Head office [chat video]
	// Head office []
}

func ExampleClient_DeleteToken() {
	example(func(ctx context.Context, c *client.Client) error {
		token, err := c.CreateToken(ctx, client.CreateTokenParams{
			Name: "For a day", Permissions: []client.Permission{client.PermissionFax},
		})
		if err != nil {
			return err
		}
		if err := c.DeleteToken(ctx, token.ID); err != nil {
			return err
		}
		err = c.DeleteToken(ctx, token.ID)
		fmt.Println(errors.Is(err, client.ErrNotFound))
		return nil
	})
	// Output: true
}

func ExampleError() {
	example(func(ctx context.Context, c *client.Client) error {
		_, err := c.CreateToken(ctx, client.CreateTokenParams{
			Name: " ", Permissions: []client.Permission{client.PermissionFax},
		})
		if e, ok := errors.AsType[*client.Error](err); ok && errors.Is(err, client.ErrInvalid) {
			fmt.Println(e.Status, e.Code, e.Attribute)
			fmt.Println(e.Message)
		}
		return nil
	})
	// Output:
	// 422 10000 name
	// Name must be present
}

func ExampleClient_ForAccount() {
	example(func(ctx context.Context, c *client.Client) error {
		stranger := c.ForAccount("7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42")
		_, err := stranger.CreateToken(ctx, client.CreateTokenParams{
			Name: "N", Permissions: []client.Permission{client.PermissionFax},
		})
		fmt.Println(errors.Is(err, client.ErrNotFound))
		return nil
	})
	// Output: true
}

// A program that has to store the secret writes it out on purpose.
func ExampleSecret_Reveal() {
	token := client.Token{ID: "ea14556a-984f-11ee-b9d1-0242ac120002", Secret: client.NewSecret("PT…")}

	redacted, err := json.Marshal(map[string]any{"id": token.ID, "token": token.Secret})
	if err != nil {
		log.Fatal(err)
	}
	plain, err := json.Marshal(map[string]any{"id": token.ID, "token": token.Secret.Reveal()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(redacted))
	fmt.Println(string(plain))
	// Output:
	// {"id":"ea14556a-984f-11ee-b9d1-0242ac120002","token":"[redacted]"}
	// {"id":"ea14556a-984f-11ee-b9d1-0242ac120002","token":"PT…"}
}

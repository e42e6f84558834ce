package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server"
	"github.com/tokenwire/tokenwire/server/store"
)

type projectCmd struct {
	Create projectCreateCmd `cmd:"" help:"Create a project with a token that holds the permission management, and print its credential."`
	Token  projectTokenCmd  `cmd:"" help:"Create another token that holds the permission management, for a project whose tokens are lost, and print its credential."`
	List   projectListCmd   `cmd:"" help:"List the projects."`
}

type projectCreateCmd struct {
	databaseFlags
	Name    string `env:"TOKENWIRE_PROJECT_NAME" required:"" placeholder:"NAME" help:"What people call the project; at most 250 characters."`
	Parent  string `env:"TOKENWIRE_PROJECT_PARENT" placeholder:"PROJECT-ID" help:"Make it a subproject of this project."`
	Create  bool   `name:"create-database" help:"Make the SQLite database and its keyset if they do not exist, before the first start of a server."`
	BaseURL string `default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the server answers, for the curl line that is printed. (default: ${default})"`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run creates a project.
func (cmd projectCreateCmd) Run(ctx context.Context, std streams) error {
	wanted := server.NewProject{Name: cmd.Name}
	if cmd.Parent != "" {
		parent, err := uuid.Parse(cmd.Parent)
		if err != nil {
			return errors.New("--parent must be the UUID of a project")
		}
		wanted.ParentID = parent
	}
	if !cmd.Create {
		if err := cmd.mustExist(); err != nil { // a name that is misspelt must not become a database that nobody serves
			return fmt.Errorf("%w, or with --create-database", err)
		}
	}
	surviveClosedOutput()
	return cmd.withServer(ctx, func(srv *server.Server) error {
		created, err := srv.CreateProject(ctx, wanted)
		if errors.Is(err, store.ErrNotFound) {
			return errors.New("--parent must be a project that exists and is no subproject itself; tokenwire project list has them")
		}
		if err != nil {
			return err
		}
		if err := printCredentials(std, created, cmd.JSON, cmd.BaseURL); err != nil {
			return lostCredential(created, err)
		}
		return nil
	})
}

// lostCredential says how to go on when a project was created whose credential nobody has read.
func lostCredential(created server.ProjectCredentials, cause error) error {
	return fmt.Errorf("the project %s was created, but its credential could not be printed and is lost (%w): make another project with tokenwire project create, on the same --db and --keyset, and a standard output that can be written to",
		created.Project.ID, cause)
}

type projectTokenCmd struct {
	databaseFlags
	Project string `arg:"" name:"PROJECT-ID" help:"The project, or subproject; tokenwire project list has them."`
	BaseURL string `default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the server answers, for the curl line that is printed. (default: ${default})"`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help says what becomes of the other tokens.
func (projectTokenCmd) Help() string {
	return `It works on the database itself, also while a server is using it. The tokens that the project has stay as they are: with the new
one, tokenwire token list shows them, and tokenwire token delete removes one that may have come into other hands.`
}

// Run creates a token.
func (cmd projectTokenCmd) Run(ctx context.Context, std streams) error {
	project, err := uuid.Parse(cmd.Project)
	if err != nil {
		return errors.New("<PROJECT-ID> must be the UUID of a project; tokenwire project list has them")
	}
	if err := cmd.mustExist(); err != nil {
		return err
	}
	surviveClosedOutput()
	return cmd.withServer(ctx, func(srv *server.Server) error {
		created, err := srv.CreateManagementToken(ctx, project)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("there is no project %s in this database; tokenwire project list has them", project)
		}
		if err != nil {
			return err
		}
		if err := printCredentials(std, created, cmd.JSON, cmd.BaseURL); err != nil {
			return fmt.Errorf("the token %s was created, but its secret could not be printed and is lost (%w): make another with tokenwire project token, and a standard output that can be written to, and delete this one",
				created.TokenID, err)
		}
		return nil
	})
}

// printCredentials prints what is shown only once.
func printCredentials(std streams, created server.ProjectCredentials, asJSON bool, baseURL string) error {
	if asJSON {
		return writeJSON(std.out, credentialsJSON{created.Project.ID.String(), created.TokenID.String(), created.Secret.Reveal()})
	}
	return writeCredentials(std.out, created, shownOnce, strings.TrimRight(baseURL, "/"), "")
}

type credentialsJSON struct {
	ProjectID string `json:"project_id"`
	TokenID   string `json:"token_id"`
	Token     string `json:"token"`
}

// shownOnce warns of what cannot be had again.
const shownOnce = "Keep the API token: it is not printed again. "

// writeCredentials prints what is shown only once, and a call to try it with. curlFlags end in a space if there are any.
func writeCredentials(out io.Writer, created server.ProjectCredentials, note, baseURL, curlFlags string) error {
	project, token, plain := created.Project.ID, created.TokenID, created.Secret.Reveal()
	_, err := fmt.Fprintf(out, `  Project     %s
  Project ID  %s
  Token ID    %s
  API token   %s

%sThis call reads and updates the token:

curl -X PATCH %s%s/api/laml/2010-04-01/Accounts/%s/tokens/%s \
  -H "Content-Type: application/json" \
  -u "%s:%s" \
  -d '{}'
`, oneLine(created.Project.Name), project, token, plain, note, curlFlags, baseURL, project, token, project, plain)
	return err
}

type projectListCmd struct {
	DB   string `name:"db" default:"tokenwire.db" placeholder:"FILE|URL" help:"SQLite database, or postgres://USER@HOST:PORT/DATABASE. (default: ${default})"`
	JSON bool   `name:"json" help:"Print JSON."`
}

type projectJSON struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	ParentID  *string   `json:"parent_id"`
	CreatedAt time.Time `json:"created_at"`
}

// Run lists the projects. It needs no keyset.
func (cmd projectListCmd) Run(ctx context.Context, std streams) error {
	if err := (databaseFlags{DB: cmd.DB}).mustExist(); err != nil {
		return err
	}
	db, err := (databaseFlags{DB: cmd.DB}).openStore(ctx)
	if err != nil {
		return err
	}
	projects, err := allProjects(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if cmd.JSON {
		return writeJSON(std.out, projectsJSON(projects))
	}
	rows := make([][]string, 0, len(projects))
	for _, project := range projects {
		parent := "-"
		if project.IsSubproject() {
			parent = project.ParentID.String()
		}
		rows = append(rows, []string{project.ID.String(), project.Name, parent, project.CreatedAt.Format(time.RFC3339)})
	}
	return writeTable(std.out, []string{"PROJECT ID", "NAME", "PARENT", "CREATED"}, rows)
}

// allProjects reads the list page by page.
func allProjects(ctx context.Context, db store.Store) ([]store.Project, error) {
	var all []store.Project
	page := store.Page{Limit: 1000}
	for {
		projects, err := db.Projects(ctx, store.ProjectQuery{Page: page})
		all = append(all, projects...)
		if err != nil || len(projects) < page.Limit {
			return all, err
		}
		page.After = &projects[len(projects)-1].ID
	}
}

func projectsJSON(projects []store.Project) []projectJSON {
	list := make([]projectJSON, 0, len(projects))
	for _, project := range projects {
		entry := projectJSON{ID: project.ID.String(), Name: project.Name, CreatedAt: project.CreatedAt}
		if project.IsSubproject() {
			parent := project.ParentID.String()
			entry.ParentID = &parent
		}
		list = append(list, entry)
	}
	return list
}

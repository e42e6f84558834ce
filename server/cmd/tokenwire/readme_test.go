package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// repository is the folder of the README, from here.
const repository = "../../.."

func readme(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, "README.md"))
	check(t, err)
	return string(content)
}

// blocks returns the blocks of code in a language.
func blocks(t *testing.T, text, language string) []string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	if len(found) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return found
}

// TestREADMEConfiguration: the table names each flag of serve, with its variable and its default.
func TestREADMEConfiguration(t *testing.T) {
	t.Parallel()
	text := readme(t)
	parser, err := kong.New(&struct{ serveCmd }{}, kong.DefaultEnvars("TOKENWIRE"))
	check(t, err)
	rows := regexp.MustCompile(`(?m)^\| (.*--.*) \| (.*TOKENWIRE_.*) \| (.*) \| .* \|$`).FindAllStringSubmatch(text, -1)
	for _, flag := range parser.Model.Flags {
		if flag.Name == "help" {
			continue
		}
		found := 0
		for _, row := range rows {
			if !strings.Contains(row[1], "`--"+flag.Name+"`") || !strings.Contains(row[2], "`"+flag.Envs[0]+"`") {
				continue
			}
			found++
			if flag.HasDefault && row[3] != "`"+flag.Default+"`" {
				t.Errorf("--%s has the default %s, and the README says %s", flag.Name, flag.Default, row[3])
			}
		}
		if found != 1 {
			t.Errorf("--%s with %s is in %d rows of the README's table", flag.Name, flag.Envs[0], found)
		}
	}
}

// TestREADMECommands: every command line of the program in the README is one that it understands.
func TestREADMECommands(t *testing.T) {
	t.Parallel()
	text := readme(t)
	const id = "11111111-1111-4111-8111-111111111111"
	ids := strings.NewReplacer("TOKEN_ID", id, "PROJECT_ID", id)
	checked := 0
	for _, block := range blocks(t, text, "sh") {
		for line := range strings.Lines(block) {
			line, _, _ = strings.Cut(line, "#")
			line, _, _ = strings.Cut(line, ">")
			words := regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1)
			if len(words) == 0 || words[0] != "bin/tokenwire" {
				continue
			}
			for i, word := range words {
				words[i] = ids.Replace(strings.Trim(word, `"`))
			}
			parser, err := kong.New(&cli{}, kong.DefaultEnvars("TOKENWIRE"), values())
			check(t, err)
			if _, err := parser.Parse(words[1:]); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			checked++
		}
	}
	if checked < 25 {
		t.Errorf("only %d command lines were checked", checked)
	}
}

// TestREADMESandbox runs the calls to a sandbox as they are printed, against a server of this test.
func TestREADMESandbox(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	text := readme(t)
	s := serve(t, t.TempDir(), "--sandbox")
	ran := 0
	for _, block := range blocks(t, text, "sh") {
		if !strings.Contains(block, "/_sandbox/") {
			continue
		}
		ran++
		output, err := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(block, "http://127.0.0.1:8080", s.url)).CombinedOutput()
		check(t, err)
		for _, want := range []string{`"connection":"lose_answer"`, "Empty reply from server", `\"name\":\"Fax only\"`, `"now":`} {
			if !strings.Contains(string(output), want) {
				t.Errorf("%s is not in the output:\n%s", want, output)
			}
		}
		if strings.Contains(string(output), `"error`) {
			t.Errorf("a call failed:\n%s", output)
		}
	}
	if ran != 1 {
		t.Errorf("%d blocks were run", ran)
	}
	s.stop(t)
}

// TestREADMELinks: what the pages refer to in this repository is there, down to the headline.
func TestREADMELinks(t *testing.T) {
	t.Parallel()
	pages := []string{"README.md", "docs/postgresql.md", "server/bench/PROFILE.md", "server/bench/RESULTS.md"}
	for _, page := range pages {
		content, err := os.ReadFile(filepath.Join(repository, page))
		check(t, err)
		links := regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(content), -1)
		if len(links) == 0 {
			t.Errorf("%s has no links", page)
		}
		for _, link := range links {
			if strings.Contains(link[1], "://") {
				continue
			}
			path, headline, _ := strings.Cut(link[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(filepath.Join(repository, target)); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if headline != "" && !slices.Contains(headlines(t, target), headline) {
				t.Errorf("%s: there is no %s in %s", page, headline, target)
			}
		}
	}
}

// headlines returns the anchors of a page.
func headlines(t *testing.T, page string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, page))
	check(t, err)
	var found []string
	for _, line := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(content), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(line[1]), "")
		found = append(found, strings.ReplaceAll(anchor, " ", "-"))
	}
	return found
}

// TestREADMEGuard: the file of rules is one that the server takes, and says what the README says.
func TestREADMEGuard(t *testing.T) {
	t.Parallel()
	dir, tried := t.TempDir(), 0
	for _, block := range blocks(t, readme(t), "yaml") {
		if !strings.HasPrefix(block, "rules:") {
			continue
		}
		tried++
		check(t, os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(block), 0o600))
		s := serve(t, dir, "--sandbox", "--guard", "rules.yaml")
		for uri, want := range map[string]int{
			"/reports/daily": 204, "/reports/weekly": 204, "/whoami": 204, "/crm/accounts/" + sandboxProjectID + "/notes/7": 403,
			"/api/project/tokens": 204, "/elsewhere": 403,
		} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/tokens/verify", http.NoBody)
			check(t, err)
			request.SetBasicAuth(sandboxProjectID, sandboxToken)
			request.Header.Set("X-Original-Method", http.MethodGet)
			request.Header.Set("X-Original-URI", uri)
			response, err := http.DefaultClient.Do(request)
			check(t, err)
			check(t, response.Body.Close())
			if response.StatusCode != want {
				t.Errorf("%s: %d, want %d", uri, response.StatusCode, want)
			}
		}
		s.stop(t)
	}
	if tried != 1 {
		t.Errorf("there are %d files of rules", tried)
	}
}

// TestGuardMistakes: a file that cannot be used stops the start, with the reason.
func TestGuardMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "wrong.yaml"), []byte("rules: [{path: /x, permission: voice}]"), 0o600))
	padded := func(size int) []byte {
		const rule = "rules: [{path: /x, permission: voice}]\n#"
		return []byte(rule + strings.Repeat("x", size-len(rule)))
	}
	check(t, os.WriteFile(filepath.Join(dir, "full.yaml"), padded(1<<20), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "large.yaml"), padded(1<<20+1), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "secret.yaml"), []byte(sandboxToken+": x"), 0o600))
	for file, want := range map[string]string{
		"secret.yaml": `line 1: "PT…" is nothing that the file has`,
		"wrong.yaml":  `rule 1, "/x": "voice" is no permission`, "missing.yaml": "cannot read the rules of --guard", "full.yaml": "is no permission",
		"large.yaml": "--guard large.yaml: it has more than 1 MiB, and is no file of rules",
	} {
		if got := execute(t, dir, nil, "serve", "--guard", file).want(t, 1); !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %q, want %q in it", file, got.stderr, want)
		}
	}
}

// TestREADMEPrograms: the Go code is whole, and compiles.
func TestREADMEPrograms(t *testing.T) {
	t.Parallel()
	text := readme(t)
	root, err := filepath.Abs(repository)
	check(t, err)
	dir := t.TempDir()
	replace, packages := map[string]string{}, []string{"list", "-export", "-test", "-overlay", filepath.Join(dir, "overlay.json")}
	for i, program := range blocks(t, text, "go") {
		name := string(rune('a' + i))
		file := name + ".go"
		if strings.Contains(program, "testing.T") {
			file = name + "_test.go"
		}
		check(t, os.WriteFile(filepath.Join(dir, file), []byte(program), 0o600))
		replace[filepath.Join(root, "readme", name, file)] = filepath.Join(dir, file)
		packages = append(packages, "./readme/"+name)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	compile := exec.CommandContext(t.Context(), "go", packages...)
	compile.Dir = root
	if output, err := compile.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

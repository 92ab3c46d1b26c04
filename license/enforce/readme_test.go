package enforce

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the README's code leaves to the router.
const readmeImports = `package main

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/enforce"
)

const version = "1"

func main() { _ = run(context.Background()) }

func basicAuth(next http.Handler) http.Handler { return next }

func requestID(*http.Request) string { return "" }

func maxTokens(*http.Request) int64 { return 1 }

var handler http.Handler

`

// The code that the README shows is what a router team starts from, so it must build as it stands; the first piece is
// the whole of it, in fewer than 40 lines.
func TestCodeOfTheREADMEBuilds(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var code []string
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		code = append(code, block[1])
	}
	if len(code) != 3 {
		t.Fatalf("%d pieces of code, want 3: give each new one its place here", len(code))
	}
	if lines := strings.Count(code[0], "\n"); lines >= 40 {
		t.Errorf("embedding the module takes %d lines, want fewer than 40", lines)
	}
	module, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	const path = "github.com/metrum-ai/licensing-portal/license"
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.org/router\n\ngo 1.24\n\nrequire " + path + " v0.0.0\n\nreplace " + path + " => " + module + "\n",
		"keys.json": "{}",
		"main.go":   readmeImports + code[0],
		"request.go": "package main\n\nimport (\n\t\"net/http\"\n\n\t\"" + path + "\"\n\t\"" + path + "/enforce\"\n)\n\n" +
			"func serve(w http.ResponseWriter, manager *enforce.Manager, id string, usedTokens int64) {\n" + code[1] + "}\n",
		"read.go": "package main\n\nimport (\n\t\"time\"\n\n\t\"" + path + "\"\n)\n\n" +
			"func read(path, fingerprint string, ring *license.KeyRing) error {\n" + code[2] + "return err\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "vet", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

package boundaries

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/metrum-ai/licensing-portal"

// listed is a package as "go list -json" prints it.
type listed struct {
	ImportPath   string
	Dir          string
	Standard     bool
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	Error        *struct{ Err string }
}

// tree is every package of both modules and all they depend on. Overlay maps
// the path of a planted file, from the repository's root, to its text.
type tree struct {
	root     string
	packages map[string]*listed
	overlay  map[string]string
}

// load lists the packages, with the overlay's files added to those on disk.
func load(t *testing.T, overlay map[string]string) *tree {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"list", "-e", "-deps",
		"-json=ImportPath,Dir,Standard,GoFiles,Imports,TestImports,XTestImports,Deps,Error"}
	if len(overlay) > 0 {
		args = append(args, "-overlay="+writeOverlay(t, root, overlay))
	}
	cmd := exec.Command("go", append(args, "./...", module+"/license/...")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	tr := &tree{root: root, packages: make(map[string]*listed), overlay: overlay}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		p := new(listed)
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			return tr
		} else if err != nil {
			t.Fatal(err)
		}
		tr.packages[p.ImportPath] = p
	}
}

// writeOverlay writes the planted files outside the tree and the JSON that
// tells the go command to see them inside.
func writeOverlay(t *testing.T, root string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string)
	for path, text := range files {
		real := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(real, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, path)] = real
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parse returns the package's own files without their tests.
func (tr *tree) parse(t *testing.T, p *listed) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		var src any
		if rel, err := filepath.Rel(tr.root, path); err == nil {
			if text, ok := tr.overlay[filepath.ToSlash(rel)]; ok {
				src = text
			}
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// short is an import path as the rules write it: without the module's name.
func short(path string) string {
	// A package under test may be listed as "path [path.test]".
	path, _, _ = strings.Cut(path, " ")
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func ours(path string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}

// matches tells whether one of the patterns names the package: its path as
// short returns it, or a path and "/..." for it and everything below.
func matches(path string, patterns []string) bool {
	path = short(path)
	for _, pattern := range patterns {
		if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
			if path == prefix || strings.HasPrefix(path, prefix+"/") {
				return true
			}
		} else if path == pattern {
			return true
		}
	}
	return false
}

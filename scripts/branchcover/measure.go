package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// listed is what the go command says about a package.
type listed struct {
	Dir, ImportPath, Name string
	GoFiles               []string
	Module                struct{ Path, Dir string }
}

type measurement struct {
	points, files int
	missed        []branch
}

// measure runs the packages' tests with the packages instrumented.
func measure(dir string, patterns []string, stderr io.Writer) (*measurement, error) {
	packages, err := list(dir, patterns)
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "branchcover")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	o := &overlay{scratch: scratch, replace: make(map[string]string)}
	in := &instrumenter{counter: packages[0].Module.Path + "/internal/branchcount"}
	m := new(measurement)
	for _, p := range packages {
		for _, name := range p.GoFiles {
			m.files++
			if err := o.instrument(in, p.Module.Dir, filepath.Join(p.Dir, name)); err != nil {
				return nil, err
			}
		}
	}
	o.write(filepath.Join(packages[0].Module.Dir, "internal", "branchcount", "branchcount.go"), counterSource(len(in.points)))
	for _, p := range packages {
		o.write(filepath.Join(p.Dir, "branchcount_test.go"), mainSource(p.Name, in.counter))
	}
	if err := o.test(dir, patterns, stderr); err != nil {
		return nil, err
	}
	m.points = len(in.points)
	m.missed, err = missed(in.points, o.path("seen-*"))
	return m, err
}

func list(dir string, patterns []string) ([]*listed, error) {
	command := exec.Command("go", append([]string{"list", "-json=Dir,ImportPath,Name,GoFiles,Module"}, patterns...)...)
	command.Dir = dir
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []*listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		switch err := decoder.Decode(p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, err
		}
		packages = append(packages, p)
	}
}

// overlay is a set of files that the go command sees instead of, or beside, those on disk.
type overlay struct {
	scratch string
	replace map[string]string
	err     error
}

func (o *overlay) path(name string) string { return filepath.Join(o.scratch, name) }

func (o *overlay) write(target string, text []byte) {
	file := o.path(strconv.Itoa(len(o.replace)) + ".go")
	o.replace[target] = file
	o.err = errors.Join(o.err, os.WriteFile(file, text, 0o600))
}

func (o *overlay) instrument(in *instrumenter, module, file string) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(module, file)
	if err != nil {
		return err
	}
	text, err := in.file(filepath.ToSlash(name), source)
	if err != nil {
		return err
	}
	o.write(file, text)
	return nil
}

// test runs the tests once; each package leaves what it saw in a file "seen-…".
func (o *overlay) test(dir string, patterns []string, stderr io.Writer) error {
	config, err := json.Marshal(map[string]any{"Replace": o.replace})
	if err != nil {
		return err
	}
	if err := errors.Join(o.err, os.WriteFile(o.path("overlay"), config, 0o600)); err != nil {
		return err
	}
	command := exec.Command("go", append([]string{"test", "-count=1", "-vet=off", "-overlay", o.path("overlay")}, patterns...)...)
	command.Dir = dir
	command.Env = append(os.Environ(), "BRANCHCOUNT="+o.scratch)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Run(); err != nil {
		_, _ = stderr.Write(out.Bytes())
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

// missed reads files with a line for each value that was seen: its point's number, and 0 or 1.
func missed(points []point, pattern string) ([]branch, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			seen[strings.TrimSpace(line)] = true
		}
	}
	var missed []branch
	for n, p := range points {
		values := []string{"false", "true"}
		if p.body {
			values = []string{"", "reached"}
		}
		for value, word := range values {
			if word != "" && !seen[fmt.Sprint(n, value)] {
				missed = append(missed, branch{p, word})
			}
		}
	}
	return missed, nil
}

func counterSource(points int) []byte {
	return fmt.Appendf(nil, `package branchcount

import (
	"fmt"
	"os"
	"sync/atomic"
)

var seen [%d][2]atomic.Bool

func At(n int, is bool) bool {
	value := &seen[n][0]
	if is {
		value = &seen[n][1]
	}
	if !value.Load() {
		value.Store(true)
	}
	return is
}

func Write() error {
	file, err := os.CreateTemp(os.Getenv("BRANCHCOUNT"), "seen-")
	if err != nil {
		return err
	}
	defer file.Close()
	for n := range seen {
		for value := range seen[n] {
			if seen[n][value].Load() {
				if _, err := fmt.Fprintln(file, n, value); err != nil {
					return err
				}
			}
		}
	}
	return file.Close()
}
`, points)
}

func mainSource(name, counter string) []byte {
	return fmt.Appendf(nil, `package %s

import (
	"fmt"
	"os"
	"testing"

	branchcount %q
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := branchcount.Write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
`, name, counter)
}

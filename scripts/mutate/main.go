// Mutate changes a package in one place at a time, runs its tests against each change, and prints the changes that no
// test notices.
//
//	mutate -dir license revocation.go revocation_scan.go
//
// A change is a comparison turned or moved by one, a condition held true or false, a case left out, a number one more
// or less, && for ||, a statement removed, or a flag flipped. One that does not compile does not count. The go command
// lays all of a file's over the package, to be built once, and the tests are told which to run; no file changes. What was found in the license
// module, and what it means, is in license/MUTATIONS.md.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", ".", "the folder of the package")
	limit := flags.Duration("timeout", 2*time.Minute, "how long the tests of one mutant may take; one that takes longer is noticed")
	slow := flags.String("slow", "^$", "a pattern of tests that are run only where the others notice nothing")
	only := flags.String("only", "", "run only mutants whose description, as it is printed, contains this")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("use: mutate -dir PACKAGE FILE [FILE...]")
	}
	scratch, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	l := &laboratory{dir: *dir, scratch: scratch, slow: *slow, limit: *limit}
	count := make(map[outcome]int)
	for _, name := range flags.Args() {
		source, err := os.ReadFile(filepath.Join(*dir, name))
		if err != nil {
			return err
		}
		mutants, err := mutantsOf(name, source)
		if err != nil {
			return err
		}
		describe := func(m mutant) string { return fmt.Sprintf("%s:%d %s: %s", name, m.line, m.function, m.what) }
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !strings.Contains(describe(m), *only) })
		err = l.tryAll(ctx, filepath.Join(*dir, name), source, mutants, func(m mutant, got outcome) {
			if count[got]++; got == survived {
				fmt.Fprintln(stdout, describe(m))
			}
		})
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "%d mutants: %d noticed, %d not; %d more do not compile\n",
		count[noticed]+count[survived], count[noticed], count[survived], count[broken])
	return nil
}

// outcome is what the tests say to a mutant.
type outcome string

const (
	noticed  outcome = "noticed"
	survived outcome = "survived"
	broken   outcome = "does not compile"
)

// laboratory builds and tests mutants, one at a time.
type laboratory struct {
	dir, scratch, slow string
	limit              time.Duration
	output             bytes.Buffer // of the last command
}

// tryAll tests the package with each of the mutants of a file, in their order. Those within functions are built at once.
func (l *laboratory) tryAll(ctx context.Context, file string, source []byte, mutants []mutant, tell func(mutant, outcome)) error {
	binary, leftOut, err := l.buildWoven(ctx, file, source, mutants)
	if err != nil {
		return err
	}
	if l.test(ctx, binary, 0) != survived {
		return fmt.Errorf("the tests fail without any change: %s", l.output.String())
	}
	for i, m := range mutants {
		switch number := i + 1; {
		case m.within == nil:
			tell(m, l.try(ctx, file, m.apply(source)))
		case leftOut[number]:
			tell(m, broken)
		default:
			tell(m, l.test(ctx, binary, number))
		}
	}
	return nil
}

// buildWoven builds the package with every mutant that compiles, and returns the numbers of those that do not.
func (l *laboratory) buildWoven(ctx context.Context, file string, source []byte, mutants []mutant) (binary string, leftOut map[int]bool, err error) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, source, parser.PackageClauseOnly)
	if err != nil {
		return "", nil, err
	}
	leftOut = make(map[int]bool)
	for {
		binary, err := l.build(ctx, "woven", map[string][]byte{file: weave(source, mutants, leftOut),
			filepath.Join(filepath.Dir(file), chooser+".go"): chooserFile(tree.Name.Name)})
		if err == nil {
			return binary, leftOut, nil
		}
		known := len(leftOut)
		for _, number := range failures(l.output.String()) {
			leftOut[number] = true
		}
		if len(leftOut) == known {
			return "", nil, fmt.Errorf("%s does not compile: %w: %s", file, err, l.output.String())
		}
	}
}

// try tests the package with the text in place of the file.
func (l *laboratory) try(ctx context.Context, file string, text []byte) outcome {
	binary, err := l.build(ctx, "single", map[string][]byte{file: text})
	if err != nil {
		return broken
	}
	return l.test(ctx, binary, 0)
}

// build builds the package's tests over the texts, by file.
func (l *laboratory) build(ctx context.Context, name string, texts map[string][]byte) (binary string, err error) {
	replace := make(map[string]string)
	for file, text := range texts {
		path, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		replace[path] = filepath.Join(l.scratch, filepath.Base(file))
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			return "", err
		}
	}
	config, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(l.scratch, "overlay")
	if err := os.WriteFile(overlay, config, 0o600); err != nil {
		return "", err
	}
	binary = filepath.Join(l.scratch, name)
	return binary, l.command(ctx, 0, "go", "test", "-c", "-vet=off", "-gcflags=-e -l", "-overlay", overlay, "-o", binary, ".")
}

// test runs a built package's tests with the mutant of a number chosen.
func (l *laboratory) test(ctx context.Context, binary string, number int) outcome {
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	for _, which := range []string{"-test.skip", "-test.run"} {
		if l.command(ctx, number, binary, "-test.failfast", which, l.slow) != nil {
			return noticed
		}
	}
	return survived
}

func (l *laboratory) command(ctx context.Context, number int, name string, args ...string) error {
	l.output.Reset()
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = l.dir
	command.Env = append(os.Environ(), chooser+"="+strconv.Itoa(number))
	command.Stdout, command.Stderr = &l.output, &l.output
	command.WaitDelay = time.Second
	return command.Run()
}

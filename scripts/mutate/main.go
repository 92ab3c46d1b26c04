// Mutate changes a package in one place at a time, runs its tests against each change, and prints the changes that no
// test notices.
//
//	mutate -dir license revocation.go revocation_scan.go
//
// A change is a comparison turned or moved by one, a condition held true or false, a case left out, a number one more
// or less, && for ||, a statement removed, or a flag flipped. One that does not compile does not count. The go command
// lays each over the package; no file changes. What was found in the license
// module, and what it means, is in license/MUTATIONS.md.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
	if got := l.try(ctx, filepath.Join(*dir, flags.Arg(0)), nil); got != survived {
		return fmt.Errorf("the tests fail without any change: %s", l.output.String())
	}
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
		for _, m := range mutants {
			description := fmt.Sprintf("%s:%d %s: %s", name, m.line, m.function, m.what)
			if !strings.Contains(description, *only) {
				continue
			}
			got := l.try(ctx, filepath.Join(*dir, name), m.apply(source))
			if count[got]++; got == survived {
				fmt.Fprintln(stdout, description)
			}
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

// try tests the package with the text in place of the file; nil is the file as it is.
func (l *laboratory) try(ctx context.Context, file string, text []byte) outcome {
	overlay, binary := filepath.Join(l.scratch, "overlay"), filepath.Join(l.scratch, "test")
	replace := map[string]string{}
	if text != nil {
		mutant := filepath.Join(l.scratch, "mutant.go")
		path, err := filepath.Abs(file)
		if err != nil || os.WriteFile(mutant, text, 0o600) != nil {
			return broken
		}
		replace[path] = mutant
	}
	config, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil || os.WriteFile(overlay, config, 0o600) != nil {
		return broken
	}
	if l.command(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, ".") != nil {
		return broken
	}
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	for _, which := range []string{"-test.skip", "-test.run"} {
		if l.command(ctx, binary, "-test.failfast", which, l.slow) != nil {
			return noticed
		}
	}
	return survived
}

func (l *laboratory) command(ctx context.Context, name string, args ...string) error {
	l.output.Reset()
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = l.dir
	command.Stdout, command.Stderr = &l.output, &l.output
	command.WaitDelay = time.Second
	return command.Run()
}

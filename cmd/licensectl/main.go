// Command licensectl is what a customer's operator runs: it verifies a license file offline and installs it where a
// router looks for it. It needs no portal and holds no secret.
//
// It exits with 0 when all is well, with 1 when a license is refused (the status code comes first on standard error,
// as in "license-expired: …") or a file cannot be replaced, and with 2 for wrong use.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/metrum-ai/licensing-portal/license"
)

const help = `licensectl verifies and installs the router's license files, offline.

  licensectl verify  [-keys FILE] [-now TIME] [-fingerprint TEXT] FILE
  licensectl install [-keys FILE] [-fingerprint TEXT] FILE -to PATH
  licensectl help

Run "licensectl verify -help" or "licensectl install -help" for the flags and what they do.

The key ring, the public keys that licenses are signed with, is the file given by -keys, else by
the environment variable LICENSECTL_KEYS, else /etc/licensectl/keys.json.

Exit status: 0 all is well; 1 the license is refused, with its status code first on standard error
("license-expired: ..."), or a file cannot be replaced; 2 wrong use, or no usable key ring.
`

const defaultKeys = "/etc/licensectl/keys.json"

func main() {
	// A first signal lets an installation clean up after itself; it takes milliseconds.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(report(err, os.Stderr))
}

// usageError is wrong use of the command line, or of what it names as the key ring.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// report writes err for a person and returns the exit status that goes with it.
func report(err error, stderr io.Writer) int {
	var refusal *license.Error
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintf(stderr, "licensectl: %v\n", err)
		return 2
	case errors.As(err, &refusal):
		fmt.Fprintln(stderr, err) // the code comes first, for scripts
		return 1
	default:
		fmt.Fprintf(stderr, "licensectl: %v\n", err)
		return 1
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, help)
		return usagef("a command is missing: verify or install")
	}
	switch args[0] {
	case "verify":
		return verify(args[1:], getenv, stdout)
	case "install":
		return install(ctx, args[1:], getenv, stdout)
	case "help", "-help", "--help", "-h":
		fmt.Fprint(stdout, help)
		return nil
	}
	return usagef("there is no command %q: see licensectl help", args[0])
}

// parse reads flags before and after the one file argument. Everything after "--" is no flag. The help goes to
// stdout, since it was asked for.
func parse(flags *flag.FlagSet, args []string, text string, stdout io.Writer) (file string, err error) {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	var rest, files []string
	for i, arg := range args {
		if arg == "--" {
			args, rest = args[:i], args[i+1:]
			break
		}
	}
	for {
		switch err := flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprintf(stdout, "%s\nFlags:\n", strings.TrimSpace(text))
			flags.SetOutput(stdout)
			flags.PrintDefaults()
			return "", err
		case err != nil:
			return "", usagef("%w: see licensectl %s -help", err, flags.Name())
		}
		if flags.NArg() == 0 {
			break
		}
		files = append(files, flags.Arg(0))
		args = flags.Args()[1:]
	}
	files = append(files, rest...)
	if len(files) != 1 {
		return "", usagef("%s takes one license file, not %d: see licensectl %s -help", flags.Name(), len(files), flags.Name())
	}
	return files[0], nil
}

// readKeys reads the key ring from the flag, the environment or the default path, in this order.
func readKeys(flagged string, getenv func(string) string, fallback string) (*license.KeyRing, error) {
	path := flagged
	if path == "" {
		path = getenv("LICENSECTL_KEYS")
	}
	if path == "" {
		if _, err := os.Stat(fallback); errors.Is(err, os.ErrNotExist) {
			return nil, usagef("no key ring: give -keys FILE, set LICENSECTL_KEYS, or put the key ring file "+
				"that your portal's keys page offers at %s", fallback)
		}
		path = fallback
	}
	ring, err := license.ReadKeyRing(path)
	if err != nil {
		return nil, usageError{err}
	}
	return ring, nil
}

// Command licensectl is what a customer's operator runs: it verifies, inspects and compares license files offline,
// installs them where a router looks for its license and sees to it that the router takes them, goes back to the one
// before, fetches one from a re-download link of the portal and the revocation bundle beside it, and writes the summary that support may see. It verifies
// without the portal and holds no secret.
//
// It exits with 0 when all is well; with 1 when a license is refused (the status code comes first on standard error,
// as in "license-expired: …") or a file cannot be replaced; with 2 for wrong use; with 3 when a router or portal
// cannot be reached or does not do its part. With -json standard output is one JSON object, also for a failure.
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

  licensectl verify [-keys FILE] [-now TIME] [-fingerprint TEXT] FILE
  licensectl inspect [-keys FILE] [-now TIME] FILE
  licensectl diff [-keys FILE] OLD NEW
  licensectl install [-keys FILE] [-fingerprint TEXT] [-yes] [-router URL ...] FILE -to PATH
  licensectl rollback [-keys FILE] [-fingerprint TEXT] [-router URL ...] -to PATH
  licensectl status -router URL [-admin-user NAME] -admin-password-file FILE
  licensectl pull [-keys FILE] [-watch INTERVAL] URL -to PATH
  licensectl revocations [-keys FILE] [-watch INTERVAL] URL -to PATH
  licensectl handoff [-request-id ID] FILE | -router URL ...
  licensectl help

Each command takes -help, which says what it does and lists its flags, and -json for answers to programs.

The key ring, the public keys that licenses are signed with, is the file given by -keys, else by
the environment variable LICENSECTL_KEYS, else /etc/licensectl/keys.json.

Exit status: 0 all is well; 1 the license is refused, with its status code first on standard error
("license-expired: ..."), or a file cannot be replaced; 2 wrong use, or no usable key ring;
3 a router or portal cannot be reached or does not do its part.
`

const defaultKeys = "/etc/licensectl/keys.json"

func main() {
	// A first signal lets an installation clean up after itself, and ends a watch.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(report(err, os.Stderr))
}

// The exit statuses other than 0, which are part of the interface.
const (
	exitRefused = 1
	exitUsage   = 2
	exitRemote  = 3
)

// usageError is wrong use of the command line, or of what it names as the key ring.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// remoteError says that a router or portal could not be reached or did not do its part.
type remoteError struct{ error }

func (e remoteError) Unwrap() error { return e.error }

func remotef(format string, args ...any) error { return remoteError{fmt.Errorf(format, args...)} }

// report writes err for a person and returns the exit status that goes with it.
func report(err error, stderr io.Writer) int {
	var refusal *license.Error
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintf(stderr, "licensectl: %v\n", err)
		return exitUsage
	case errors.As(err, new(remoteError)):
		fmt.Fprintf(stderr, "licensectl: %v\n", err)
		return exitRemote
	case errors.As(err, &refusal):
		fmt.Fprintln(stderr, err) // the code comes first, for scripts
		return exitRefused
	default:
		fmt.Fprintf(stderr, "licensectl: %v\n", err)
		return exitRefused
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, help)
		return usagef("a command is missing: verify or install")
	}
	out := &output{stdout: stdout, stderr: stderr}
	commands := map[string]func() error{
		"verify":      func() error { return verify(args[1:], getenv, out) },
		"inspect":     func() error { return inspect(args[1:], getenv, out) },
		"diff":        func() error { return diff(args[1:], getenv, out) },
		"install":     func() error { return install(ctx, args[1:], getenv, out) },
		"rollback":    func() error { return rollback(ctx, args[1:], getenv, out) },
		"status":      func() error { return status(ctx, args[1:], out) },
		"pull":        func() error { return pull(ctx, args[1:], getenv, out) },
		"revocations": func() error { return revocations(ctx, args[1:], getenv, out) },
		"handoff":     func() error { return handoff(ctx, args[1:], stdin, out) },
	}
	if command, ok := commands[args[0]]; ok {
		return out.fail(command())
	}
	switch args[0] {
	case "help", "-help", "--help", "-h":
		fmt.Fprint(stdout, help)
		return nil
	}
	return usagef("there is no command %q: see licensectl help", args[0])
}

// operands is what a command takes beside its flags.
type operands struct {
	least, most int
	noun        string // "one license file"
}

var (
	oneLicense  = operands{1, 1, "one license file"}
	twoLicenses = operands{2, 2, "two license files"}
	nothing     = operands{0, 0, "only flags"}
)

// parse reads flags before and after the operands. Everything after "--" is no flag. The help goes to standard
// output, since it was asked for.
func parse(flags *flag.FlagSet, args []string, text string, want operands, out *output) (found []string, err error) {
	flags.BoolVar(&out.json, "json", false, "answer with one JSON object on standard output")
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	var rest []string
	for i, arg := range args {
		if arg == "--" {
			args, rest = args[:i], args[i+1:]
			break
		}
	}
	for {
		switch err := flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprintf(out.stdout, "%s\nFlags:\n", strings.TrimSpace(text))
			flags.SetOutput(out.stdout)
			flags.PrintDefaults()
			return nil, err
		case err != nil:
			return nil, usagef("%w: see licensectl %s -help", err, flags.Name())
		}
		if flags.NArg() == 0 {
			break
		}
		found = append(found, flags.Arg(0))
		args = flags.Args()[1:]
	}
	found = append(found, rest...)
	if len(found) < want.least || len(found) > want.most {
		return nil, usagef("%s takes %s, not %d: see licensectl %s -help", flags.Name(), want.noun, len(found), flags.Name())
	}
	return found, nil
}

// Command witness follows the signer's issuance log from another host, keeps a copy of it, and alarms when the log forks,
// lacks entries, shrinks or falls silent. It holds no secret and signs nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/witness"
)

const usage = `usage:
  witness follow -config FILE [-source SOURCE] [-silence DURATION]
  witness status -config FILE [-silence DURATION]
  witness verify -config FILE

follow  follows the log until it is stopped; a fork, a gap or a shrunken log ends it with exit code 1
status  prints what follow last saw; exit code 1 while an alarm stands or nothing was verified for too long
verify  checks the whole copy, without the log
SOURCE is unix:PATH, the signer's socket, or an http(s) URL that relays GET /v1/log/...
`

// errUsage marks wrong use of the command line; what to do was printed already.
var errUsage = errors.New("wrong use")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	command, rest := "", []string(nil)
	if len(args) > 0 {
		command, rest = args[0], args[1:]
	}
	verbs := map[string]func(context.Context, *config, io.Writer, io.Writer) error{"follow": follow, "status": status, "verify": verify}
	if verb, ok := verbs[command]; ok {
		c, err := configOf(command, rest, stderr)
		if err != nil {
			return err
		}
		return verb(ctx, c, stdout, stderr)
	}
	if command == "help" || command == "-h" || command == "-help" || command == "--help" {
		_, err := io.WriteString(stdout, usage)
		return err
	}
	_, _ = io.WriteString(stderr, usage)
	return errUsage
}

// configOf reads a verb's flags and the configuration that they name.
func configOf(verb string, args []string, stderr io.Writer) (*config, error) {
	flags := flag.NewFlagSet("witness "+verb, flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", "", "configuration `file`")
	source, silence := "", time.Duration(0)
	if verb == "follow" {
		flags.StringVar(&source, "source", "", "where the log is read, instead of the configuration's `source`")
	}
	if verb != "verify" {
		flags.DurationVar(&silence, "silence", 0, "how long nothing may be verified, instead of the configuration's")
	}
	if err := flags.Parse(args); err != nil {
		return nil, errUsage
	}
	if flags.NArg() != 0 || *path == "" || silence < 0 {
		_, _ = io.WriteString(stderr, usage)
		return nil, errUsage
	}
	return loadConfig(*path, source, silence)
}

func follow(ctx context.Context, c *config, stdout, stderr io.Writer) error {
	client, err := signer.NewLogClient(c.Source)
	if err != nil {
		return err
	}
	w, err := witness.Open(witness.Config{
		Source: client, Verifier: c.verifier, Dir: c.Dir, Poll: c.poll, Silence: c.silence, Now: time.Now,
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "following %s, %d entries copied\n", c.verifier.Name(), w.Size()); err != nil {
		return errors.Join(err, w.Close())
	}
	err = w.Follow(ctx, func(alarm *witness.Alarm) {
		if alarm == nil {
			fmt.Fprintln(stderr, "witness: the log answers again")
			return
		}
		fmt.Fprintln(stderr, "witness:", alarm)
	})
	return errors.Join(err, w.Close())
}

func status(_ context.Context, c *config, stdout, _ io.Writer) error {
	state, err := witness.ReadState(c.Dir)
	if err != nil {
		return err
	}
	if err := state.Check(time.Now().UTC(), c.silence); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "no alarm: %d entries, verified %s\n", state.Size, state.VerifiedAt.Format(time.RFC3339))
	return err
}

func verify(_ context.Context, c *config, stdout, _ io.Writer) error {
	size, err := witness.Verify(c.Dir, c.verifier)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "copy verifies: %d entries\n", size)
	return err
}

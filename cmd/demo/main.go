// Command demo starts the whole product on this machine for a new user, with
// stand-ins for what is elsewhere in production: a private PostgreSQL, a Stripe
// stand-in, a mail catcher and an example router. Portal, worker and signer are
// the programs that a production host runs, found beside this one.
//
//	demo [-remove]
//
// Environment:
//
//	DEMO_DIR      where the demo keeps everything (default .demo)
//	DEMO_PORT     the portal's port (default 8080); the router gets the next,
//	              then the Stripe stand-in, then the mail catcher
//	DATABASE_URL  an empty or earlier database to use instead of a private one
//
// It prints "ready" and what to do, and writes the addresses and throw-away
// secrets to $DEMO_DIR/demo.json, which is there as long as everything is
// ready. A part that dies is started again. Ctrl-C stops everything; the next
// start goes on where this one stopped. Nothing listens beyond this machine.
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run runs the demo until ctx ends, or removes it.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, getenv, stderr)
	if err != nil {
		return err
	}
	if o.remove {
		return remove(o, stdout)
	}
	return serve(ctx, o, stdout, stderr)
}

// Command portal sells and delivers licenses. It holds no private key and no webhook secret: what it sells is what the
// signer would sign, and what it delivers is what the signer signed.
//
// Its processes keep no state; run as many as you like against one database. Run "portal help" for the commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: portal COMMAND

  serve                  answer the browser and Stripe's webhooks
  worker                 work the jobs: evaluate, issue, mail, reconcile
  migrate                bring the database to this binary's schema
  reconcile [-dry-run]   compare orders, events, refunds and disputes with Stripe once, and count the gaps; exits with 1
                         where any is left. A dry run tells what it would do and changes nothing
  catalog plan|push|status [-webhook URL] [-secret-file FILE]
                         compare packages, prices and the webhook endpoint at Stripe with the trust bundle; push mends
                         what differs and writes a new endpoint's secret for the signer, status fails where something does
  staff order ORDER      show an order with all that happened to it: its payments taken back, its flags
  staff review           list the orders in review
  staff review release ORDER -by NAME -note TEXT
                         let an order go on in spite of its reasons
  staff review close ORDER -by NAME -note TEXT
                         cancel an order in review; notes are for staff alone
  staff enroll -name NAME -role issuer|approver|finance
                         print a link, good for an hour, where NAME makes a passkey
  staff propose replace LICENSE | revoke LICENSE… | issue ORDER | rotate KEY
                         write down what the signer shall do; see -h of each
  staff approve REQ [-key FILE [-digest HEX]]
                         stand by a request: its proposer first, then others; without a
                         key file print the link where a passkey does
  staff requests [REQ] [-json]
                         list the requests, or show one whole
  staff request-link REQ print a link, good for an hour, where a passkey stands by REQ
  quote prepare SKU -org CUSTOMER -by NAME …
                         make a quote for a package that is sold by invoice; see -h
  quote list [-org CUSTOMER] | show ORDER | cancel ORDER
                         list quotes, show one with its invoice, or withdraw one that is not accepted
  restore                refill the database from the signer's log
  audit [-json] [-log-key VERIFIER_KEY]
                         compare the signer's log, the database and Stripe; exits with 1 where they differ
  replay                 send the signer the evidence of licenses that its log lost

Every command takes its configuration from the environment: DATABASE_URL, PORTAL_PUBLIC_URL, PORTAL_LISTEN,
PORTAL_CONTACT, PORTAL_SECRET_FILE, SIGNER_SOCKET (or SIGNER_URL), STRIPE_API_KEY_FILE, STRIPE_API_URL, SMTP_URL, MAIL_FROM,
STRIPE_WEBHOOK_URL, PORTAL_METRICS_LISTEN.
A command says which of them it misses.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "portal: %v\n", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "portal: %v\n", err)
		os.Exit(1)
	}
}

// errUsage says that the command line is wrong.
var errUsage = errors.New("wrong use; see portal help")

// run is the whole program: args after the name, the environment through getenv.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errUsage
	}
	p := program{
		getenv: getenv, stdin: stdin, stdout: stdout,
		log: slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: logLevel(args[0])})),
	}
	commands := map[string]func(context.Context, []string) error{
		"serve": p.serve, "worker": p.worker, "migrate": p.migrate, "reconcile": p.reconcile,
		"catalog": p.catalog, "staff": p.staff, "restore": p.restore, "replay": p.replay, "audit": p.audit,
		"quote": p.quote,
	}
	if args[0] == "help" || asksForHelp(args[:1]) {
		fmt.Fprint(stdout, usage)
		return nil
	}
	command, ok := commands[args[0]]
	if !ok {
		return fmt.Errorf("%w: unknown command %q", errUsage, args[0])
	}
	err := command(ctx, args[1:])
	about := help(usage)
	if errors.As(err, &about) || errors.Is(err, errUsage) && asksForHelp(args[len(args)-1:]) {
		fmt.Fprint(stdout, about)
		return nil
	}
	return err
}

// logLevel keeps out of the way of people at a terminal: what they did is printed, not logged.
func logLevel(command string) slog.Level {
	switch command {
	case "staff", "quote", "catalog":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// program is what every command is given.
type program struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	log    *slog.Logger
}

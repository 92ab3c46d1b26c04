package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

var errUsage = errors.New("wrong use, see demo -help")

// The example router reports this fingerprint, so a license that is bound to an
// instance must name it.
const fingerprint = "fp:demo-router"

type options struct {
	dir         string
	programs    string // the directory of the other programs
	port        int    // the portal's, and three more after it
	databaseURL string // empty: a private PostgreSQL
	remove      bool
	// pass is what the portal's processes get from the caller's environment.
	pass []string
}

// tunables may be given to the demo and are handed on to the portal.
var tunables = []string{"SIGN_INS_PER_IP", "SIGN_INS_PER_ADDRESS", "JOB_POLL_INTERVAL", "JOB_CONCURRENCY", "RECONCILE_INTERVAL"}

func parseOptions(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	o := options{dir: ".demo", port: 8080, databaseURL: getenv("DATABASE_URL")}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.remove, "remove", false, "delete the demo in DEMO_DIR with its orders, licenses and keys, and end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%w: %q is not expected", errUsage, flags.Arg(0))
	}
	if dir := getenv("DEMO_DIR"); dir != "" {
		o.dir = dir
	}
	if text := getenv("DEMO_PORT"); text != "" {
		port, err := strconv.Atoi(text)
		if err != nil || port < 1 || port+3 > 65535 {
			return o, fmt.Errorf("%w: DEMO_PORT must be a number from 1 to 65532, and the three ports after it are used as well", errUsage)
		}
		o.port = port
	}
	for _, name := range tunables {
		if value := getenv(name); value != "" {
			o.pass = append(o.pass, name+"="+value)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return o, fmt.Errorf("where are the programs: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return o, fmt.Errorf("where are the programs: %w", err)
	}
	o.programs = filepath.Dir(self)
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return o, fmt.Errorf("DEMO_DIR: %w", err)
	}
	return o, nil
}

func (o options) portalURL() string { return o.url(0) }
func (o options) routerURL() string { return o.url(1) }
func (o options) stripeURL() string { return o.url(2) }
func (o options) mailURL() string   { return o.url(3) }

// url is an address at localhost, where browsers allow passkeys.
func (o options) url(offset int) string { return fmt.Sprintf("http://localhost:%d", o.port+offset) }

// address is where the portal or the router listens.
func (o options) address(offset int) string { return fmt.Sprintf("127.0.0.1:%d", o.port+offset) }

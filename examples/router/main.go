// Command router is a small router that embeds license/enforce the way a router team would: it loads an offline
// license, serves while the license stands, counts the volume, and says why when it does not serve. Its one model
// echoes.
//
//	go run ./examples/router -license license.json -keys keys.json -listen 127.0.0.1:8081 \
//	  -admin-user admin -admin-password-file admin-password -token-file token
//
// It starts, not ready, without a license file, and turns ready when a good one appears. Counters are kept in the
// state file, beside the license unless -state says otherwise. SIGHUP looks at the files at once; SIGTERM and Ctrl-C
// finish the requests under way, give the volume on hand back, and stop.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/enforce"
)

const routerVersion = "example-1"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "router:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "router:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong use, see router -help")

// options are the command line's; secrets come from files, since every user of a host can read command lines.
type options struct {
	license, keys, listen, state                 string
	fingerprint, fingerprintFile, fingerprintEnv string
	revocations                                  string
	requireCurrent, failClosed                   bool
	adminUser, adminPasswordFile, tokenFile      string
	recheckInterval, gracePeriod, stopTimeout    time.Duration
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("router", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.license, "license", "license.json", "the license `file`; it may appear later")
	flags.StringVar(&o.keys, "keys", "keys.json", "the key ring `file`")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8081", "the `address` to serve on")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "this instance's raw `fingerprint`, for licenses that are bound to one")
	flags.StringVar(&o.fingerprintFile, "fingerprint-file", "", "a `file` that holds the fingerprint")
	flags.StringVar(&o.fingerprintEnv, "fingerprint-env", "", "an environment `variable` that holds the fingerprint")
	flags.StringVar(&o.state, "state", "", "the `file` that keeps the counters (default the license file's name and .state)")
	flags.StringVar(&o.revocations, "revocations", "", "the revocation bundle `file`; without it no bundle is looked at")
	flags.BoolVar(&o.requireCurrent, "require-current-revocations", false, "stop serving without a current revocation bundle")
	flags.BoolVar(&o.failClosed, "revocations-fail-closed", false, "stop serving when the revocation bundle is missing or refused")
	flags.DurationVar(&o.recheckInterval, "recheck-interval", enforce.DefaultRecheckInterval, "how often to look at the license file")
	flags.DurationVar(&o.gracePeriod, "grace-period-on-validation-error", 0, "how long to go on after the license in force last validated")
	flags.StringVar(&o.adminUser, "admin-user", "admin", "the `name` for /admin/")
	flags.StringVar(&o.adminPasswordFile, "admin-password-file", "", "the `file` that holds the password for /admin/")
	flags.StringVar(&o.tokenFile, "token-file", "", "the `file` that holds the bearer token for /v1/")
	flags.DurationVar(&o.stopTimeout, "stop-timeout", 10*time.Second, "how long requests under way may take when stopping")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%w: %q is not expected", errUsage, flags.Arg(0))
	case o.adminPasswordFile == "" || o.tokenFile == "":
		return o, fmt.Errorf("%w: -admin-password-file and -token-file are required", errUsage)
	case o.recheckInterval <= 0 || o.gracePeriod < 0:
		return o, fmt.Errorf("%w: -recheck-interval must be positive and the grace period not negative", errUsage)
	}
	if o.state == "" {
		o.state = o.license + ".state"
	}
	return o, nil
}

// enforcement is the part of the options that the license's manager takes.
func (o options) enforcement(ring *license.KeyRing, logger *slog.Logger) enforce.Config {
	c := enforce.Config{
		Path:            o.license,
		Ring:            ring,
		Fingerprint:     o.fingerprint,
		FingerprintFile: o.fingerprintFile,
		FingerprintEnv:  o.fingerprintEnv,
		RecheckInterval: o.recheckInterval,
		GracePeriod:     o.gracePeriod,
		State:           enforce.State{Path: o.state},
		RouterVersion:   routerVersion,
		Logger:          logger,
	}
	if o.revocations != "" || o.requireCurrent || o.failClosed {
		c.Revocation = enforce.Revocation{Mode: enforce.RevocationFile, Path: o.revocations,
			RequireCurrent: o.requireCurrent, FailClosed: o.failClosed}
	}
	return c
}

// run serves until ctx is done. It logs to stderr.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	ring, err := license.ReadKeyRing(o.keys)
	if err != nil {
		return err
	}
	password, err := readSecret(o.adminPasswordFile)
	if err != nil {
		return fmt.Errorf("admin password: %w", err)
	}
	token, err := readSecret(o.tokenFile)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	manager, err := enforce.New(o.enforcement(ring, logger))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	// The manager outlives ctx: requests that are under way when the router stops still need it.
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	go manager.Run(background)
	go recheckOnHangup(background, manager)

	access := credentials{adminUser: o.adminUser, adminPassword: password, token: token}
	logger.Info("listening", "address", listener.Addr().String())
	err = serve(ctx, listener, newHandler(manager, access, logger), logger, o.stopTimeout)
	return errors.Join(err, manager.Close())
}

// serve answers on the listener until ctx is done, and then lets the requests under way finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger, stopTimeout time.Duration) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping")
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return server.Shutdown(stopping)
}

func recheckOnHangup(ctx context.Context, manager *enforce.Manager) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			manager.Recheck()
		}
	}
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metrum-ai/licensing-portal/cmd/demo/founding"
	"github.com/metrum-ai/licensing-portal/cmd/demo/place"
	"github.com/metrum-ai/licensing-portal/cmd/demo/supervise"
	"github.com/metrum-ai/licensing-portal/internal/localpg"
)

const (
	startLimit = 90 * time.Second // a machine under load takes long for initdb
	childLimit = 5 * time.Second  // how long a child may take to end
	stopLimit  = 20 * time.Second // how long all of them may
)

const (
	// foundedFile marks that keys, bundle and the signer's log were made.
	foundedFile = "founded"
	logDir      = "logs"
	pidDir      = "pids"
	mailDir     = "mail"
	stripeDir   = "stripe"
	postgresDir = "postgres"
)

// stack is everything that the demo runs.
type stack struct {
	o       options
	log     *slog.Logger
	place   *place.Place
	secrets secrets
	sup     *supervise.Supervisor

	programs    map[string]string
	noNetwork   bool
	vendor      *founding.Vendor
	database    *database // nil with a database of the caller's
	databaseURL string
	stripe      *stripeStandIn
	mail        *mail
}

// remove deletes a demo that does not run.
func remove(o options, stdout io.Writer) error {
	if !place.Exists(o.dir) {
		fmt.Fprintf(stdout, "there is no demo in %s\n", o.dir)
		return nil
	}
	p, err := place.Open(o.dir)
	if err != nil {
		return err
	}
	if err := localpg.Remove(filepath.Join(o.dir, postgresDir)); err != nil {
		return errors.Join(err, p.Close())
	}
	if err := p.Remove(foundedFile, logDir, pidDir, mailDir, stripeDir, founding.RootKeysDir, secretsFile, resultFile); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "removed the demo in %s\n", o.dir)
	return nil
}

// serve starts everything, waits for ctx and stops everything.
func serve(ctx context.Context, o options, stdout, stderr io.Writer) error {
	p, err := place.Open(o.dir)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := removeResult(o.dir); err != nil {
		return err
	}
	log, logFile, err := openLog(o.dir, stderr)
	if err != nil {
		return err
	}
	defer logFile.Close()
	s := &stack{o: o, log: log, place: p, databaseURL: o.databaseURL}
	defer s.stop()
	fmt.Fprintf(stdout, "starting the demo in %s ...\n", nearby(o.dir))
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while starting
		}
		return err
	}
	s.announce(stdout)
	<-ctx.Done()
	fmt.Fprintln(stdout, "stopping ...")
	s.stop()
	fmt.Fprintln(stdout, "stopped")
	return nil
}

// openLog logs to the demo's own file, and what the user should see to stderr
// as well.
func openLog(dir string, stderr io.Writer) (*slog.Logger, *os.File, error) {
	if err := os.MkdirAll(filepath.Join(dir, logDir), 0o700); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, logDir, "demo.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(f, nil),
		slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}),
	)), f, nil
}

// start brings everything up, side by side what does not need each other.
func (s *stack) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	stripePort, mailPort, err := s.takePorts()
	if err != nil {
		return err
	}
	if s.mail, err = startMail(mailPort, s.o.dir, s.log); err != nil {
		closeAll(append(stripePort, mailPort...))
		return err
	}
	if s.stripe, err = startStripe(stripePort, s.o, s.secrets, s.log); err != nil {
		closeAll(stripePort)
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startDatabase(groupCtx) })
	group.Go(func() error { return s.startSigner(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := s.startPortal(ctx); err != nil {
		return err
	}
	return s.putResult()
}

// takePorts takes the ports of what runs in this process, and sees to it that
// the children's are free.
func (s *stack) takePorts() (stripe, mail []net.Listener, err error) {
	for _, offset := range []int{0, 1} {
		if err := checkFree(s.o.port + offset); err != nil {
			return nil, nil, err
		}
	}
	if stripe, err = listen(s.o.port + 2); err != nil {
		return nil, nil, err
	}
	if mail, err = listen(s.o.port + 3); err != nil {
		closeAll(stripe)
		return nil, nil, err
	}
	return stripe, mail, nil
}

// prepare makes what the parts need before any of them runs.
func (s *stack) prepare(ctx context.Context) (err error) {
	if s.programs, err = s.place.Programs(s.o.programs, "portal", "signer", "router", "licensectl"); err != nil {
		return err
	}
	s.sup, err = supervise.New(supervise.Config{
		PIDDir: filepath.Join(s.o.dir, pidDir), LogDir: filepath.Join(s.o.dir, logDir), StopLimit: childLimit, Logger: s.log,
	})
	if err != nil {
		return err
	}
	if s.secrets, err = ensureSecrets(s.place); err != nil {
		return err
	}
	if err := s.putPortalFiles(); err != nil {
		return err
	}
	return s.probeIsolation(ctx)
}

// probeIsolation finds out whether this machine lets root start a program as
// another user, and without network: containers often forbid the latter.
func (s *stack) probeIsolation(ctx context.Context) error {
	if s.place.Signer == nil {
		return nil
	}
	probe := supervise.Child{Name: "isolation", Path: "/bin/true", As: s.place.Signer, NoNetwork: true}
	if s.sup.Run(ctx, probe) == nil {
		s.noNetwork = true
		return nil
	}
	probe.NoNetwork = false
	if err := s.sup.Run(ctx, probe); err != nil {
		return fmt.Errorf("root cannot start programs as other users here; start the demo as an ordinary user: %w", err)
	}
	return nil
}

// startDatabase brings up PostgreSQL with the portal's tables.
func (s *stack) startDatabase(ctx context.Context) (err error) {
	if s.databaseURL == "" {
		if s.database, err = startDatabase(ctx, s.o.dir, s.log); err != nil {
			return err
		}
		s.databaseURL = s.database.url
	}
	return s.sup.Run(ctx, s.portalChild("migrate", "migrate"))
}

// startSigner brings up the signer, with new keys and an empty log at first.
func (s *stack) startSigner(ctx context.Context) error {
	founded := filepath.Join(s.o.dir, foundedFile)
	_, err := os.Stat(founded)
	again := err == nil
	if again {
		s.vendor, err = founding.Load(s.place)
	} else {
		s.vendor, err = founding.Make(s.place, founding.Config{
			Account: stripeAccount, Origin: s.o.portalURL(), Now: time.Now, Random: rand.Reader,
		})
	}
	if err != nil {
		return err
	}
	s.warnOfStaff()
	config, err := s.putSignerConfig()
	if err != nil {
		return err
	}
	if !again {
		if err := s.initLog(ctx, config); err != nil {
			return err
		}
		if _, err := s.place.PutOwn(foundedFile, nil); err != nil {
			return err
		}
	}
	return s.sup.Start(ctx, s.signerChild(config))
}

// warnOfStaff says what does not work in a demo that was made earlier or
// elsewhere, since its trust bundle stays as it was made.
func (s *stack) warnOfStaff() {
	switch {
	case len(s.vendor.Staff) == 0:
		s.log.Warn("this demo was made before staff could approve anything; to try that, remove it with demo -remove and start it anew")
	case s.vendor.Origin != s.o.portalURL():
		s.log.Warn("passkeys work only on the port where this demo was made", "made_at", s.vendor.Origin)
	}
}

// initLog makes the signer's empty log, over one that an interrupted first
// start left.
func (s *stack) initLog(ctx context.Context, config string) error {
	left, err := filepath.Glob(s.place.SignerFile("log.db*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return s.sup.Run(ctx, supervise.Child{
		Name: "signer-init", Path: s.programs["signer"], Args: []string{"log", "init", "-config", config},
		Env: baseEnv(), As: s.place.Signer, NoNetwork: s.noNetwork,
	})
}

// startPortal brings up what needs database, signer and stand-in.
func (s *stack) startPortal(ctx context.Context) error {
	router, err := s.routerChild()
	if err != nil {
		return err
	}
	web := s.portalChild("portal", "serve")
	web.Ready = supervise.HTTP(s.o.portalURL() + "/healthz")
	worker := s.portalChild("worker", "worker")
	worker.ReadyOutput = "worker works"
	group, together := errgroup.WithContext(ctx)
	group.Go(func() error { return s.sup.Run(together, s.portalChild("catalog", "catalog", "push")) })
	group.Go(func() error { return s.sup.Start(together, web) })
	group.Go(func() error { return s.sup.Start(together, worker) })
	if err := group.Wait(); err != nil {
		return err
	}
	// The router reads the bundle at its start: what it first answers is then
	// what the portal's pages say that it answers.
	if err := s.sup.Start(ctx, s.sidecarChild()); err != nil {
		return err
	}
	return s.sup.Start(ctx, router)
}

// stop ends everything that was started, the last first. It may be called
// twice.
func (s *stack) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	warn := func(err error) {
		if err != nil {
			s.log.Warn("stopping", "error", err)
		}
	}
	warn(removeResult(s.o.dir))
	if s.sup != nil {
		s.sup.Stop(ctx)
	}
	if s.stripe != nil {
		warn(s.stripe.close(ctx))
		s.stripe = nil
	}
	if s.mail != nil {
		s.mail.close(ctx)
		s.mail = nil
	}
	if s.database != nil {
		warn(s.database.close(ctx))
		s.database = nil
	}
}

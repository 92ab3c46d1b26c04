package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
)

// serve runs the signer until ctx ends. It refuses to start unless every part is there and sound.
func serve(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("signer serve", flag.ContinueOnError)
	path := flags.String("config", "", "configuration `file`")
	if _, err := parse(flags, args, stderr, 0); err != nil {
		return err
	}
	if err := server.Harden(); err != nil {
		return err
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // before anything is open, since an unhandled one kills
	defer signal.Stop(hangup)
	r, err := start(*path, slog.New(slog.NewJSONHandler(stderr, nil)))
	if err != nil {
		return err
	}
	return errors.Join(r.serve(ctx, hangup), r.store.Close())
}

// serve answers until ctx ends, and reloads at each hangup, which only root and the signer's own user can send.
func (r *running) serve(ctx context.Context, hangup <-chan os.Signal) error {
	listener, landlock, err := r.listen()
	if err != nil {
		return err
	}
	r.current.Confined(landlock)
	background, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { r.reloadAt(background, hangup) })
	err = listener.Serve(ctx, r.current.Handler(), r.logger, func() {
		r.report("signer answers")
		// A full check takes a second per million records, so it runs while the signer answers already.
		beside.Go(func() {
			if err := r.store.VerifyAll(background); err != nil && background.Err() == nil {
				r.logger.Error("issuance log does not verify")
			}
		})
	})
	cancel()
	beside.Wait()
	r.logger.Info("signer stopped")
	return err
}

// listen opens socket and port, and gives up what is not needed once all is open.
func (r *running) listen() (listener *server.Listener, landlock string, err error) {
	socket, err := r.config.socket()
	if err != nil {
		return nil, "", err
	}
	var tcp *server.TCP
	if r.config.TLS != nil {
		if tcp, err = r.config.TLS.load(); err != nil {
			return nil, "", err
		}
	}
	reach, err := r.reach()
	if err != nil {
		return nil, "", err
	}
	if listener, err = server.Listen(socket, tcp); err != nil {
		return nil, "", err
	}
	if landlock, err = server.Confine(reach); err != nil {
		listener.Close()
		return nil, "", err
	}
	return listener, landlock, nil
}

// report logs how the signer is.
func (r *running) report(message string) {
	status := r.current.Issuer().Status()
	r.logger.Info(message, "ready", status.Ready, "problem", status.Problem, "log_size", status.LogSize,
		"trust_version", status.TrustVersion, "mode", status.Mode, "landlock", status.Landlock)
}

// logFlags reads what the log's verbs take.
func logFlags(verb string, args []string, stderr io.Writer) (log.Config, error) {
	flags := flag.NewFlagSet("signer log "+verb, flag.ContinueOnError)
	path := flags.String("config", "", "configuration `file`")
	if _, err := parse(flags, args, stderr, 0); err != nil {
		return log.Config{}, err
	}
	c, err := loadConfig(*path)
	if err != nil {
		return log.Config{}, err
	}
	return c.logConfig()
}

// logInit makes an empty log.
func logInit(args []string, stdout, stderr io.Writer) error {
	c, err := logFlags("init", args, stderr)
	if err != nil {
		return err
	}
	if err := log.Init(c); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "issuance log ready:", c.Path)
	return err
}

// logVerify checks every record of a log that no signer has open.
func logVerify(args []string, stdout, stderr io.Writer) error {
	c, err := logFlags("verify", args, stderr)
	if err != nil {
		return err
	}
	size, err := log.VerifyOffline(c)
	if errors.Is(err, log.ErrInUse) {
		return fmt.Errorf("%w: stop that one first, or read a witness's copy with witness verify", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "issuance log verifies: %d records\n", size)
	return err
}

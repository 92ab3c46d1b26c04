package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"sync"

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
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	issuer, store, err := assemble(c, logger)
	if err != nil {
		return err
	}
	socket, err := c.socket()
	if err != nil {
		return errors.Join(err, store.Close())
	}
	background, cancel := context.WithCancel(ctx)
	var verifying sync.WaitGroup
	err = server.Serve(ctx, socket, issuer.Handler(), logger, func() {
		status := issuer.Status()
		logger.Info("signer answers", "ready", status.Ready, "problem", status.Problem, "log_size", status.LogSize,
			"trust_version", status.TrustVersion, "mode", status.Mode)
		// A full check takes a second per million records, so it runs while the signer answers already.
		verifying.Go(func() {
			if err := store.VerifyAll(background); err != nil && background.Err() == nil {
				logger.Error("issuance log does not verify")
			}
		})
	})
	cancel()
	verifying.Wait()
	logger.Info("signer stopped")
	return errors.Join(err, store.Close())
}

// assemble loads everything that the configuration names. On success the caller closes the log.
func assemble(c *config, logger *slog.Logger) (*server.Issuer, *log.Log, error) {
	bundle, raw, err := c.loadTrust()
	if err != nil {
		return nil, nil, err
	}
	set, keysErr := c.loadKeys(bundle)
	verifier, secretsErr := c.loadSecrets()
	legacy, legacyErr := c.loadLegacyKeys()
	logConfig, logErr := c.logConfig()
	if err := errors.Join(keysErr, secretsErr, legacyErr, logErr); err != nil {
		return nil, nil, err
	}
	logConfig.MinimumSize, logConfig.Logger = bundle.MinimumLog, logger
	store, err := log.Open(logConfig)
	if err != nil {
		return nil, nil, err
	}
	if err := store.RememberTrust(bundle.Version, raw); err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	issuer, err := server.New(server.Config{
		Bundle: bundle, BundleBytes: raw, Keys: set, LegacyKeys: legacy, Verifier: verifier, Log: store, Logger: logger,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return issuer, store, nil
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
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "issuance log verifies: %d records\n", size)
	return err
}

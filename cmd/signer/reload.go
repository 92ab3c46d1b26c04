package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"

	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
)

// running is a signer with everything open.
type running struct {
	path    string  // of the configuration
	config  *config // as it was at the start
	store   *log.Log
	clock   *server.Clock
	logger  *slog.Logger
	current *server.Current
}

// start opens everything that the configuration names. The caller closes the store.
func start(path string, logger *slog.Logger) (*running, error) {
	c, err := loadConfig(path)
	if err != nil {
		return nil, err
	}
	loaded, loadErr := c.load()
	logConfig, logErr := c.logConfig()
	if err := errors.Join(loadErr, logErr); err != nil {
		return nil, err
	}
	logConfig.Logger = logger
	r := &running{path: path, config: c, clock: server.SystemClock(), logger: logger}
	if r.store, err = log.Open(logConfig); err != nil {
		return nil, err
	}
	issuer, err := r.admit(loaded)
	if err != nil {
		return nil, errors.Join(err, r.store.Close())
	}
	r.current = server.NewCurrent(issuer)
	return r, nil
}

// load reads what decides which licenses are signed: trust bundle, keys and webhook secrets. Start and reload share it and
// admit, so that a reload takes nothing that would not start.
func (c *config) load() (server.Config, error) {
	bundle, raw, err := c.loadTrust()
	if err != nil {
		return server.Config{}, err
	}
	set, keysErr := c.loadKeys(bundle)
	verifier, secretsErr := c.loadSecrets()
	legacy, legacyErr := c.loadLegacyKeys()
	return server.Config{Bundle: bundle, BundleBytes: raw, Keys: set, LegacyKeys: legacy, Verifier: verifier},
		errors.Join(keysErr, secretsErr, legacyErr)
}

// reach is what the signer touches once it runs: what a reload reads, and the socket, which it removes in the end.
func (r *running) reach() (server.Reach, error) {
	reach := server.Reach{Read: []string{r.path}, Remove: []string{r.config.Socket}}
	for _, file := range r.config.reloaded() {
		if *file == "" {
			continue
		}
		path, err := keys.PrivatePath(*file)
		if err != nil {
			return reach, err
		}
		reach.Read = append(reach.Read, path)
	}
	return reach, nil
}

// admit holds what was loaded against what the log remembers, and makes an issuer of it.
func (r *running) admit(loaded server.Config) (*server.Issuer, error) {
	loaded.Log, loaded.Clock, loaded.Logger = r.store, r.clock, r.logger
	issuer, err := server.New(loaded)
	if err != nil {
		return nil, err
	}
	if err := r.store.RequireSize(loaded.Bundle.MinimumLog); err != nil {
		return nil, err
	}
	return issuer, r.store.RememberTrust(loaded.Bundle.Version, loaded.BundleBytes)
}

// reloadAt reloads at each hangup until ctx ends.
func (r *running) reloadAt(ctx context.Context, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		if err := r.reload(); err != nil {
			r.logger.Error("reload refused; trust bundle and keys stay as they were", "error", err.Error())
		} else {
			r.report("reloaded")
		}
	}
}

// reload puts the bundle, keys and secrets in force that the configuration names now. On an error all stays as it was.
func (r *running) reload() error {
	c, err := loadConfig(r.path)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(c.fixed(), r.config.fixed()) {
		return errors.New("the configuration's socket, users, store or log changed, which takes a restart")
	}
	loaded, err := c.load()
	if err != nil {
		return err
	}
	issuer, err := r.admit(loaded)
	if err != nil {
		return err
	}
	r.current.Replace(issuer)
	return nil
}

// fixed is the part of a configuration that a running signer cannot change.
func (c config) fixed() config {
	c.Trust, c.RootKeys, c.RootThreshold = "", nil, 0
	c.Keys, c.LegacyKeysFile, c.WebhookSecrets = nil, "", nil
	return c
}

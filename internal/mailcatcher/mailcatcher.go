// Package mailcatcher takes the mail that the demo sends, keeps it and shows it,
// so that a new user can sign in without a mail server. It never passes mail on.
//
// It speaks plain SMTP, takes mail for any address without a password, and
// shows it on web pages and as JSON. Whoever reaches its ports reads every
// sign-in link, so it belongs on the loopback interface only; its pages answer
// to the names of that interface alone. It is for the demo and for tests, and
// is never linked into the portal.
package mailcatcher

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	defaultKeep = 200
	// maxMessage is the largest mail taken, in bytes.
	maxMessage = 4 << 20
	// maxSessions bounds the SMTP connections served at once.
	maxSessions = 32
)

// Config says how a catcher runs.
type Config struct {
	// Dir keeps the mails over a restart; empty keeps them in memory only. It
	// is created with mode 0700 when missing.
	Dir string
	// Keep is how many mails are kept, the newest; 200 by default.
	Keep int
	// Clock is the time of arrival; time.Now by default.
	Clock func() time.Time
	// Logger takes what goes wrong, never addresses or contents; nothing is
	// logged by default.
	Logger *slog.Logger
}

// Catcher takes mail by SMTP and shows it.
type Catcher struct {
	cfg   Config
	store *store
	slots chan struct{}

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	sessions  map[net.Conn]struct{}
	wait      sync.WaitGroup
}

// New returns a catcher with the mails that an earlier one left in cfg.Dir.
func New(cfg Config) (*Catcher, error) {
	if cfg.Keep < 0 {
		return nil, errors.New("mailcatcher: Keep must not be negative")
	}
	if cfg.Keep == 0 {
		cfg.Keep = defaultKeep
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := openStore(cfg.Dir, cfg.Keep, cfg.Logger)
	if err != nil {
		return nil, err
	}
	return &Catcher{
		cfg: cfg, store: s, slots: make(chan struct{}, maxSessions), sessions: map[net.Conn]struct{}{},
	}, nil
}

// Mails returns the mails that are kept, newest first.
func (c *Catcher) Mails() []Mail { return c.store.list() }

// ServeSMTP takes mail from the listener until Close, and closes it then. It
// returns nil after Close.
func (c *Catcher) ServeSMTP(ln net.Listener) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ln.Close()
	}
	c.listeners = append(c.listeners, ln)
	c.mu.Unlock()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if c.isClosed() {
				return nil
			}
			return fmt.Errorf("mailcatcher: %w", err)
		}
		c.slots <- struct{}{}
		if !c.enter(conn) {
			conn.Close()
			<-c.slots
			return nil
		}
		go func() {
			defer c.leave(conn)
			c.serve(conn)
		}()
	}
}

// Close stops taking mail and cuts the connections; a mail that was
// acknowledged is kept.
func (c *Catcher) Close() {
	c.mu.Lock()
	c.closed = true
	for _, ln := range c.listeners {
		_ = ln.Close()
	}
	for conn := range c.sessions {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.wait.Wait()
}

func (c *Catcher) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *Catcher) enter(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.sessions[conn] = struct{}{}
	c.wait.Add(1)
	return true
}

func (c *Catcher) leave(conn net.Conn) {
	_ = conn.Close()
	c.mu.Lock()
	delete(c.sessions, conn)
	c.mu.Unlock()
	<-c.slots
	c.wait.Done()
}

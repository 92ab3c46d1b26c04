package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Listener is where the signer answers: open, and not answered on yet.
type Listener struct {
	socket  Socket
	unix    net.Listener
	release func()       // gives socket and lock up
	tcp     net.Listener // nil: none
}

// Listen opens the socket and, unless it is nil, the TCP port. Serve the listener or close it.
func Listen(s Socket, t *TCP) (*Listener, error) {
	unix, release, err := s.listen()
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	l := &Listener{socket: s, unix: unix, release: release}
	if t == nil {
		return l, nil
	}
	if l.tcp, err = t.listen(); err != nil {
		l.Close()
		return nil, fmt.Errorf("signer: %w", err)
	}
	return l, nil
}

// Address is where TCP is answered; nil where it is not.
func (l *Listener) Address() net.Addr {
	if l.tcp == nil {
		return nil
	}
	return l.tcp.Addr()
}

// Close gives socket and port up.
func (l *Listener) Close() {
	l.release()
	if l.tcp != nil {
		_ = l.tcp.Close()
	}
}

// shutdownTimeout is how long running requests may take to end.
const shutdownTimeout = 5 * time.Second

// Serve answers until ctx ends, lets running requests finish, and closes the listener. Ready is called once it answers.
func (l *Listener) Serve(ctx context.Context, handler http.Handler, logger *slog.Logger, ready func()) error {
	defer l.Close()
	failed := make(chan error, 2)
	socket := newServer(onlyPeers(handler), logger)
	socket.ConnContext = l.socket.peer
	go func() { failed <- socket.Serve(l.unix) }()
	servers := []*http.Server{socket}
	if l.tcp != nil {
		tcp := newServer(onlyVerified(handler), logger)
		go func() { failed <- tcp.Serve(l.tcp) }()
		servers = append(servers, tcp)
	}
	ready()
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("signer: %w", err)
	case <-ctx.Done():
	}
	return errors.Join(err, shutdown(context.WithoutCancel(ctx), servers))
}

func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: requestTimeout, ReadTimeout: 2 * requestTimeout, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}
}

// shutdown takes no more requests and gives the running ones shutdownTimeout, all servers together.
func shutdown(ctx context.Context, servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	errs := make([]error, len(servers))
	var stopping sync.WaitGroup
	for n, server := range servers {
		stopping.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				errs[n] = errors.Join(err, server.Close())
			}
		})
	}
	stopping.Wait()
	return errors.Join(errs...)
}

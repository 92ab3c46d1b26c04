package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// webServer serves one handler on the listeners of a port.
type webServer struct {
	server *http.Server
	wait   sync.WaitGroup
}

func serveWeb(listeners []net.Listener, h http.Handler, log *slog.Logger) *webServer {
	w := &webServer{server: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	for _, ln := range listeners {
		w.wait.Go(func() {
			if err := w.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				log.Error("server ended", "address", ln.Addr().String(), "error", err)
			}
		})
	}
	return w
}

// close lets the requests under way finish until ctx ends.
func (w *webServer) close(ctx context.Context) {
	if err := w.server.Shutdown(ctx); err != nil {
		_ = w.server.Close() // cuts what is left; nothing more can be done about it
	}
	w.wait.Wait()
}

// Package server finds a PostgreSQL server for tests: the one that
// TEST_DATABASE_URL names, else a temporary cluster from local server binaries,
// else, in a build with the tag "testcontainers", one in Docker. With none of
// them it fails and says what to install; it never answers "skip".
//
// Docker stands behind a tag because compiling its client takes longer than
// compiling the portal.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/metrum-ai/licensing-portal/internal/localpg"
)

// EnvURL names the database that tests use when it is set. Its role must be
// allowed to create databases.
const EnvURL = "TEST_DATABASE_URL"

// Server is a running PostgreSQL for tests. Its URL names a database to connect
// to first; tests make their own.
type Server struct {
	URL  string
	stop func(context.Context) error
}

// Stop ends a server that Start started, and leaves alone one that it found.
// Without Stop the server ends with the process.
func (s *Server) Stop(ctx context.Context) error {
	if s.stop == nil {
		return nil
	}
	return s.stop(ctx)
}

// Start finds or starts a server. The logger may be nil.
func Start(ctx context.Context, logger *slog.Logger) (*Server, error) {
	if url := os.Getenv(EnvURL); url != "" {
		return &Server{URL: url}, nil
	}
	cluster, err := localpg.StartTemporary(ctx, logger)
	if err == nil {
		return &Server{URL: cluster.DatabaseURL("postgres"), stop: cluster.Stop}, nil
	}
	if !errors.Is(err, localpg.ErrNoBinaries) {
		return nil, err
	}
	s, dockerErr := startDocker(ctx)
	if dockerErr != nil {
		return nil, fmt.Errorf("tests need PostgreSQL and found none: %s is not set; %w; Docker: %w", EnvURL, err, dockerErr)
	}
	return s, nil
}

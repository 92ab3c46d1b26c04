//go:build testcontainers

package server

import (
	"context"
	"fmt"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
)

// startDocker runs PostgreSQL in a container, which testcontainers removes when
// this process ends.
func startDocker(ctx context.Context) (*Server, error) {
	c, err := postgres.Run(ctx, "postgres:17-alpine",
		postgres.BasicWaitStrategies(),
		testcontainers.WithCmd("postgres", "-c", "fsync=off", "-c", "synchronous_commit=off",
			"-c", "full_page_writes=off", "-c", "max_connections=200"))
	if err != nil {
		return nil, fmt.Errorf("start a container: %w", err)
	}
	url, err := c.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("address of the container: %w", err)
	}
	return &Server{URL: url, stop: func(ctx context.Context) error { return c.Terminate(ctx) }}, nil
}

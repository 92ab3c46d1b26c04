//go:build !testcontainers

package server

import (
	"context"
	"errors"
)

func startDocker(context.Context) (*Server, error) {
	return nil, errors.New("this build has no Docker client; run go test -tags testcontainers")
}

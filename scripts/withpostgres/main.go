// Withpostgres runs a command with TEST_DATABASE_URL naming a PostgreSQL server
// that lives as long as the command. It exits with the command's status.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest/server"
)

const (
	startLimit = 2 * time.Minute
	stopLimit  = 30 * time.Second
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "with-postgres:", err)
		os.Exit(1)
	}
}

// run returns the command's own *exec.ExitError when it fails.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	if len(args) == 0 {
		return errors.New("use: with-postgres COMMAND [ARGUMENT...]")
	}
	// A Ctrl-C at the terminal reaches the command as well; this process waits
	// for it to end, and a signal to this process alone is passed on.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	startCtx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s, err := server.Start(startCtx, nil)
	if err != nil {
		return err
	}
	defer func() {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer cancel()
		err = errors.Join(err, s.Stop(stopCtx))
	}()

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.Env = append(os.Environ(), server.EnvURL+"="+s.URL)
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			return err
		case sig := <-signals:
			_ = cmd.Process.Signal(sig)
		}
	}
}

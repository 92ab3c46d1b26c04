package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// listen takes a port of this machine under both of its addresses, since
// "localhost" may mean either. It does without IPv6 where there is none.
func listen(port int) ([]net.Listener, error) {
	var taken []net.Listener
	for _, host := range []string{"127.0.0.1", "::1"} {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case err == nil:
			taken = append(taken, ln)
		case host == "::1" && !errors.Is(err, syscall.EADDRINUSE):
			// no IPv6 here
		default:
			closeAll(taken)
			return nil, portError(port, err)
		}
	}
	return taken, nil
}

// checkFree tells early and clearly that a port is taken that a child will
// listen on.
func checkFree(port int) error {
	taken, err := listen(port)
	closeAll(taken)
	return err
}

func portError(port int, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is in use by another program: choose another DEMO_PORT (it and the three ports after it must be free)", port)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %d needs more rights than you have: choose a DEMO_PORT from 1024", port)
	default:
		return fmt.Errorf("port %d: %w", port, err)
	}
}

func closeAll(listeners []net.Listener) {
	for _, ln := range listeners {
		_ = ln.Close()
	}
}

//go:build unix

package license

import "syscall"

// openFlags keep opening a FIFO from waiting for its writer, and a terminal from becoming ours.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

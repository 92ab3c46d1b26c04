//go:build unix

package regular

import "syscall"

// openFlags keep opening a FIFO from waiting for its writer, and a terminal from becoming ours.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

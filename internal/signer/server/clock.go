package server

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// maxDrift is how far wall clock and steady clock may part while the signer runs.
const maxDrift = 5 * time.Minute

var errClock = errors.New("wall clock and steady clock disagree")

// Clock is a wall clock that is held against a steady one: a wall clock that was set back or ahead while the signer runs
// is noticed, and stays noticed.
type Clock struct {
	wall        func() time.Time
	steady      func() time.Duration
	startWall   time.Time
	startSteady time.Duration
	jumped      atomic.Bool
}

// NewClock returns a clock made of the two given ones. Steady must count the time that a machine sleeps.
func NewClock(wall func() time.Time, steady func() time.Duration) *Clock {
	return &Clock{wall: wall, steady: steady, startWall: wall().Round(0), startSteady: steady()}
}

// SystemClock is the machine's wall clock, held against the time since boot.
func SystemClock() *Clock { return NewClock(time.Now, sinceBoot) }

// sinceBoot goes on while the machine sleeps, as Go's monotonic clock does not.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // then the clocks part and the signer stops, rather than trusting one of them
	}
	return time.Duration(t.Nano())
}

// Now returns the wall clock's time in UTC, without a monotonic reading.
func (c *Clock) Now() time.Time { return c.wall().UTC().Round(0) }

// Check reports whether the clocks agree and always did.
func (c *Clock) Check() error {
	drift := c.Now().Sub(c.startWall) - (c.steady() - c.startSteady)
	if drift.Abs() > maxDrift {
		c.jumped.Store(true)
	}
	if c.jumped.Load() {
		return errClock
	}
	return nil
}

//go:build !unix

package license

import (
	"testing"
	"time"
)

var processStart = time.Now()

// processorTime is the time on the wall where the process's own is not told.
func processorTime(testing.TB) time.Duration { return time.Since(processStart) }

//go:build unix

package enforce

import (
	"syscall"
	"testing"
	"time"
)

// reportCPU adds the processor time an operation took, over all cores, which other programs on the machine disturb
// less than the time on the wall.
func reportCPU(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

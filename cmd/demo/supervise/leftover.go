package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// leftoverLimit is how long New waits for the children of a killed supervisor.
// The kernel ends them within milliseconds; the limit is for a number that
// belongs to another process by now.
const leftoverLimit = 2 * time.Second

// waitForLeftovers waits until the children of an earlier supervisor that was
// killed are gone, so that ports and files are free again, and forgets them.
func waitForLeftovers(pidDir string) error {
	entries, err := os.ReadDir(pidDir)
	if err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), leftoverLimit)
	defer cancel()
	for _, e := range entries {
		path := filepath.Join(pidDir, e.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("supervise: %w", err)
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && pid > 0 {
			for ctx.Err() == nil && !gone(pid) {
				time.Sleep(probeEvery)
			}
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("supervise: %w", err)
		}
	}
	return nil
}

// gone tells whether a process has let go of its files. One that nobody has
// waited for yet has done so once its last thread ended.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err == nil && len(threads) <= 1 && strings.Contains(string(stat), ") Z ")
}

package localpg

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// The shell waits for the end of its input, which comes when the owner closes
// it or dies; then it stops the server and removes what it was told to. Being
// another process, it also outlives an owner that is killed.
const watchdogScript = `
read -r word
[ "$word" = dismissed ] && exit 0
pid=$1; shift
kill -INT "$pid" 2>/dev/null
n=0
while kill -0 "$pid" 2>/dev/null && [ "$n" -lt 100 ]; do sleep 0.1; n=$((n+1)); done
[ "$#" -gt 0 ] && rm -rf -- "$@"
exit 0
`

// watchdog ends the server of an owner that died.
type watchdog struct {
	cmd   *exec.Cmd
	input io.WriteCloser
}

// startWatchdog guards the server with the given process number. It removes
// the leftovers, if any, after the server of a dead owner has ended.
func startWatchdog(pid int, leftovers []string) (*watchdog, error) {
	args := append([]string{"-c", watchdogScript, "watchdog", strconv.Itoa(pid)}, leftovers...)
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("localpg: watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("localpg: watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, input: input}, nil
}

// dismiss ends the watchdog once its server is gone. It may be called on none.
func (w *watchdog) dismiss() {
	if w == nil {
		return
	}
	_, _ = io.WriteString(w.input, "dismissed\n")
	_ = w.input.Close()
	_ = w.cmd.Wait()
}

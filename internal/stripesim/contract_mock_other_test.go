//go:build !linux

package stripesim_test

import "syscall"

// diesWithParent does nothing: only Linux ends the children of a run that was
// killed.
func diesWithParent() *syscall.SysProcAttr { return nil }

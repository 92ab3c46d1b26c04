package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const rollbackHelp = `
Usage: licensectl rollback [-keys FILE] [-fingerprint TEXT] [-revocations FILE] [-json] -to PATH
       licensectl rollback ... -router URL -admin-password-file FILE [-token-file FILE] [-rollback-on-failure]

Puts the last backup that "licensectl install" kept beside PATH and that is still valid back at PATH, and keeps what
is there now as a backup in turn: a second rollback undoes the first. Where no backup is valid it changes nothing, says
of each why, and exits with 1. Unused volume is counted for each license ID, so going back goes on from its own count.

With -router it waits for the router as "licensectl install" does.
`

func rollback(ctx context.Context, args []string, getenv func(string) string, out *output) error {
	flags := flag.NewFlagSet("rollback", flag.ContinueOnError)
	var s settings
	s.register(flags)
	if _, err := parse(flags, args, rollbackHelp, nothing, out); err != nil {
		return err
	}
	if err := s.finish(getenv); err != nil {
		return err
	}
	s.yes = true // going back is giving something up
	l, err := s.lastValid(time.Now(), out)
	if err != nil {
		return err
	}
	done, err := s.put(ctx, l, out)
	if err != nil {
		return err
	}
	return out.object(done)
}

// backup is a file that install kept.
type backup struct {
	name string
	kept time.Time
}

// lastValid returns the newest backup that a router could serve with now.
func (s *settings) lastValid(now time.Time, out *output) (*license.License, error) {
	target, err := resolve(s.to)
	if err != nil {
		return nil, err
	}
	current, err := license.ReadFile(target)
	if err != nil && license.CodeOf(err) != license.CodeMissing {
		return nil, fmt.Errorf("what is at %s is no license file to replace: %w", s.to, err)
	}
	kept, err := backups(target)
	if err != nil {
		return nil, err
	}
	var why strings.Builder
	for _, b := range kept {
		l, err := s.usable(filepath.Join(filepath.Dir(target), b.name), current, now)
		if err == nil {
			out.line("going back to %s", b.name)
			return l, nil
		}
		fmt.Fprintf(&why, "\n  %s: %v", printable(b.name), err)
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("there is no backup beside %s to go back to", s.to)
	}
	return nil, fmt.Errorf("no backup beside %s can be gone back to:%s", s.to, &why)
}

func (s *settings) usable(path string, current []byte, now time.Time) (*license.License, error) {
	data, err := license.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if current != nil && string(data) == string(current) {
		return nil, errors.New("it is what is installed now")
	}
	return s.judge(data, now)
}

// backups lists what is kept beside target, newest first.
func backups(target string) ([]backup, error) {
	entries, err := os.ReadDir(filepath.Dir(target))
	if err != nil {
		return nil, err
	}
	var found []backup
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, filepath.Base(target)+".") || !strings.HasSuffix(name, ".bak") {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // taken away meanwhile
		}
		if err != nil {
			return nil, err
		}
		found = append(found, backup{name, info.ModTime()})
	}
	slices.SortStableFunc(found, func(a, b backup) int { return b.kept.Compare(a.kept) })
	return found, nil
}

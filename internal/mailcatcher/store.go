package mailcatcher

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Header lines that are put before a kept mail, so that it is a mail still.
const (
	arrivedHeader = "X-Mailcatcher-Arrived"
	fromHeader    = "X-Mailcatcher-From"
	toHeader      = "X-Mailcatcher-To"
)

// store keeps the newest mails, in memory and, with a directory, a file each.
type store struct {
	dir  string
	keep int
	log  *slog.Logger

	mu    sync.Mutex
	next  int
	mails []Mail // oldest first
}

func openStore(dir string, keep int, log *slog.Logger) (*store, error) {
	s := &store{dir: dir, keep: keep, log: log, next: 1}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mailcatcher: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("mailcatcher: %w", err)
	}
	for _, e := range entries {
		id, isMail := strings.CutSuffix(e.Name(), ".eml")
		number, err := strconv.Atoi(id)
		if !isMail || err != nil {
			continue
		}
		s.next = max(s.next, number+1)
		m, err := readMail(filepath.Join(dir, e.Name()), id)
		if err != nil {
			log.Warn("a kept mail is not readable", "id", id, "error", err)
			continue
		}
		s.mails = append(s.mails, m)
	}
	s.trim()
	return s, nil
}

// add keeps a mail; when it returns nil the mail is in its file.
func (s *store) add(at time.Time, from string, to []string, raw []byte) error {
	m := Mail{From: from, Recipients: slices.Clone(to), To: strings.Join(to, ", "), Date: at.UTC().Truncate(time.Millisecond)}
	m.read(raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.ID = fmt.Sprintf("%06d", s.next)
	if s.dir != "" {
		if err := s.write(m.ID, from, m, raw); err != nil {
			return err
		}
	}
	s.next++
	s.mails = append(s.mails, m)
	s.trim()
	return nil
}

func (s *store) write(id, from string, m Mail, raw []byte) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n%s: %s\n%s: %s\n", arrivedHeader, m.Date.Format(time.RFC3339Nano), fromHeader, from, toHeader, m.To)
	b.Write(raw)
	next := filepath.Join(s.dir, id+".new")
	if err := os.WriteFile(next, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("mailcatcher: %w", err)
	}
	if err := os.Rename(next, s.path(id)); err != nil {
		return fmt.Errorf("mailcatcher: %w", err)
	}
	return nil
}

func (s *store) path(id string) string { return filepath.Join(s.dir, id+".eml") }

// trim lets go of the oldest mails over the limit.
func (s *store) trim() {
	for len(s.mails) > s.keep {
		if s.dir != "" {
			if err := os.Remove(s.path(s.mails[0].ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
				s.log.Warn("an old mail stays", "id", s.mails[0].ID, "error", err)
			}
		}
		s.mails = slices.Delete(s.mails, 0, 1)
	}
}

func (s *store) list() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := append([]Mail{}, s.mails...) // never nil, which would be null in JSON
	slices.Reverse(newest)
	return newest
}

func (s *store) find(id string) (Mail, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.mails, func(m Mail) bool { return m.ID == id })
	if i < 0 {
		return Mail{}, false
	}
	return s.mails[i], true
}

// readMail reads a kept mail: the three lines of its arrival, then the mail.
func readMail(path, id string) (Mail, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return Mail{}, fmt.Errorf("mailcatcher: %w", err)
	}
	m := Mail{ID: id}
	rest := file
	for _, name := range []string{arrivedHeader, fromHeader, toHeader} {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		value, ok := strings.CutPrefix(string(line), name+": ")
		if !ok {
			return Mail{}, fmt.Errorf("mailcatcher: %s lacks %s", path, name)
		}
		switch name {
		case arrivedHeader:
			if m.Date, err = time.Parse(time.RFC3339Nano, value); err != nil {
				return Mail{}, fmt.Errorf("mailcatcher: %s: %w", path, err)
			}
		case fromHeader:
			m.From = value
		case toHeader:
			m.To, m.Recipients = value, strings.Split(value, ", ")
		}
	}
	m.read(rest)
	return m, nil
}

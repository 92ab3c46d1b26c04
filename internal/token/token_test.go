package token

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func maker(t *testing.T, purpose string, b byte) *Maker {
	t.Helper()
	m, err := NewMaker(purpose, bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestATokenOpensUntilItsTimeForItsPurposeAndSecretAlone(t *testing.T) {
	t.Parallel()
	m := maker(t, "request", 1)
	token := m.Seal("req_1. and a dot", now.Add(time.Hour))
	subject, until, err := m.Open(token, now.Add(time.Hour-time.Second))
	if subject != "req_1. and a dot" || !until.Equal(now.Add(time.Hour)) || err != nil {
		t.Errorf("%q until %s: %v", subject, until, err)
	}
	subject, until, err = m.Open(token, now.Add(time.Hour))
	if subject != "req_1. and a dot" || !until.Equal(now.Add(time.Hour)) || !errors.Is(err, ErrExpired) {
		t.Errorf("an hour later: %q until %s, %v", subject, until, err)
	}
	for name, other := range map[string]*Maker{"purpose": maker(t, "enroll", 1), "secret": maker(t, "request", 2)} {
		if _, _, err := other.Open(token, now); !errors.Is(err, ErrUnknown) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if m.Derive("challenge", token) == maker(t, "enroll", 1).Derive("challenge", token) || m.Derive("challenge", token) == m.Derive("user", token) {
		t.Error("two purposes derive the same")
	}
	if _, err := NewMaker("short", make([]byte, 31)); err == nil {
		t.Error("a short secret was taken")
	}
}

func TestEveryByteOfATokenCounts(t *testing.T) {
	t.Parallel()
	m := maker(t, "request", 1)
	token := m.Seal("req_1", now.Add(time.Hour))
	for i := range token {
		for _, c := range []string{"A", "z", ".", "\n", ""} {
			changed := token[:i] + c + token[i+1:]
			if changed == token {
				continue
			}
			if _, _, err := m.Open(changed, now); !errors.Is(err, ErrUnknown) {
				t.Errorf("%q opens: %v", changed, err)
			}
		}
	}
	for _, other := range []string{"", ".", "..", token + "\n", token + "=", strings.Repeat("A", 5000), token + token} {
		if _, _, err := m.Open(other, now); !errors.Is(err, ErrUnknown) {
			t.Errorf("%.80q opens: %v", other, err)
		}
	}
}

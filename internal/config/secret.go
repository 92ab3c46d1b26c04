package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// Secret is text that never prints: fmt, slog and encoders all show "[secret]". Ask for it with Reveal.
type Secret struct{ value string }

const hidden = "[secret]"

// NewSecret keeps value from printing.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal answers the secret itself.
func (s Secret) Reveal() string { return s.value }

// Empty reports whether there is no secret.
func (s Secret) Empty() bool { return s.value == "" }

// String implements fmt.Stringer.
func (s Secret) String() string { return hidden }

// Format implements fmt.Formatter, so that no verb reaches the field.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, and with it JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

const maxSecretFile = 64 << 10

// ReadSecretFile reads a secret without the line break at its end. The file must be a regular one, at most 64 KiB, not
// empty, and neither readable nor writable by every user of the host.
func ReadSecretFile(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return Secret{}, err
	}
	if !info.Mode().IsRegular() {
		return Secret{}, fmt.Errorf("%s is not a file", path)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return Secret{}, fmt.Errorf("%s is open to every user of this host: chmod o-rwx %s", path, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return Secret{}, err
	}
	if len(content) > maxSecretFile {
		return Secret{}, fmt.Errorf("%s is larger than a secret", path)
	}
	content = bytes.TrimRight(content, "\r\n")
	if len(bytes.TrimSpace(content)) == 0 {
		return Secret{}, errors.New(path + " is empty")
	}
	return Secret{value: string(content)}, nil
}

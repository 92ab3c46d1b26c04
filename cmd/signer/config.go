package main

import (
	"crypto"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// config is the signer's configuration file. Secrets stand in files of their own, or are credentials of the service manager
// where a path is credential:NAME; relative paths are relative to the configuration file's folder.
type config struct {
	Socket         string    `json:"socket"`
	SocketMode     string    `json:"socket_mode,omitempty"`  // octal; "0660" when absent
	SocketGroup    string    `json:"socket_group,omitempty"` // name or number; the signer's own when absent
	Store          string    `json:"store"`                  // the issuance log
	Trust          string    `json:"trust"`                  // the trust bundle; its signatures stand beside it
	RootKeys       []string  `json:"root_keys"`              // OpenSSH public keys of the root holders
	RootThreshold  int       `json:"root_threshold"`
	Keys           []keyFile `json:"keys"`
	LegacyKeysFile string    `json:"legacy_keys_file,omitempty"` // a key ring file: verifies bases from before the portal
	LogKeyFile     string    `json:"log_key_file"`
	LogOrigin      string    `json:"log_origin"` // the log's name in its checkpoints
	// The private key files are encrypted with the passphrase in this file, all of them, or are declared not to be.
	PassphraseFile  string       `json:"passphrase_file,omitempty"`
	UnencryptedKeys bool         `json:"unencrypted_keys,omitempty"`
	WebhookSecrets  []secretFile `json:"webhook_secrets"`
	AllowedUIDs     []int        `json:"allowed_uids"`  // the portal's users
	TLS             *tlsConfig   `json:"tls,omitempty"` // where the portal is on another host
}

type keyFile struct {
	KeyID          string `json:"key_id"`
	PrivateKeyFile string `json:"private_key_file"`
}

type secretFile struct {
	File      string     `json:"file"`
	RetiredAt *time.Time `json:"retired_at,omitempty"`
}

// loadConfig reads and validates a configuration, telling all problems at once.
func loadConfig(path string) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var c config
	if err := strictjson.Decode(text, &c); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	c.resolve(filepath.Dir(path))
	return &c, nil
}

func (c *config) validate() error {
	var list []error
	for name, value := range map[string]string{
		"socket": c.Socket, "store": c.Store, "trust": c.Trust, "log_key_file": c.LogKeyFile, "log_origin": c.LogOrigin,
	} {
		if value == "" {
			list = append(list, fmt.Errorf("%s is missing", name))
		}
	}
	bad := func(wrong bool, what string) {
		if wrong {
			list = append(list, errors.New(what))
		}
	}
	bad(len(c.RootKeys) == 0, "root_keys is missing")
	bad(c.RootThreshold < 1, "root_threshold is below one")
	bad(len(c.Keys) == 0, "keys is missing")
	bad((c.PassphraseFile == "") != c.UnencryptedKeys, "keys: neither or both of passphrase_file and unencrypted_keys are given")
	bad(len(c.WebhookSecrets) == 0, "webhook_secrets is missing")
	seen := map[string]bool{}
	for _, k := range c.Keys {
		bad(k.KeyID == "" || k.PrivateKeyFile == "" || seen[k.KeyID], "keys: key_id or private_key_file is missing, or a key_id repeats")
		seen[k.KeyID] = true
	}
	for _, s := range c.WebhookSecrets {
		bad(s.File == "", "webhook_secrets: file is missing")
	}
	if c.TLS != nil {
		list = append(list, c.TLS.validate())
	}
	if mode, err := c.socketMode(); err != nil {
		list = append(list, err)
	} else {
		bad(mode&^0o770 != 0, "socket_mode lets everybody in")
	}
	return errors.Join(list...)
}

// reloaded lists the files that a reload reads; some may not be named.
func (c *config) reloaded() []*string {
	paths := []*string{&c.Trust, &c.LegacyKeysFile, &c.PassphraseFile}
	for i := range c.Keys {
		paths = append(paths, &c.Keys[i].PrivateKeyFile)
	}
	for i := range c.WebhookSecrets {
		paths = append(paths, &c.WebhookSecrets[i].File)
	}
	return paths
}

// resolve makes paths relative to the configuration's folder.
func (c *config) resolve(dir string) {
	paths := append(c.reloaded(), &c.Socket, &c.Store, &c.LogKeyFile)
	if c.TLS != nil {
		paths = append(paths, c.TLS.files()...)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) && !strings.HasPrefix(*p, keys.CredentialPrefix) {
			*p = filepath.Join(dir, *p)
		}
	}
}

func (c *config) socketMode() (os.FileMode, error) {
	if c.SocketMode == "" {
		return 0o660, nil
	}
	mode, err := strconv.ParseUint(c.SocketMode, 8, 9)
	if err != nil {
		return 0, errors.New("socket_mode is not octal")
	}
	return os.FileMode(mode), nil
}

func (c *config) groupID() (int, error) {
	if c.SocketGroup == "" {
		return -1, nil
	}
	if id, err := strconv.Atoi(c.SocketGroup); err == nil && id >= 0 {
		return id, nil
	}
	group, err := user.LookupGroup(c.SocketGroup)
	if err != nil {
		return 0, fmt.Errorf("socket_group: %w", err)
	}
	return strconv.Atoi(group.Gid)
}

func (c *config) socket() (server.Socket, error) {
	mode, modeErr := c.socketMode()
	group, groupErr := c.groupID()
	return server.Socket{Path: c.Socket, Mode: mode, GroupID: group, AllowedUIDs: c.AllowedUIDs}, errors.Join(modeErr, groupErr)
}

// loadTrust reads the bundle and verifies it with the pinned root keys.
func (c *config) loadTrust() (*trust.Bundle, []byte, error) {
	roots, err := parseRoots(c.RootKeys)
	if err != nil {
		return nil, nil, err
	}
	return trust.Load(c.Trust, roots, c.RootThreshold)
}

func parseRoots(lines []string) ([]ssh.PublicKey, error) {
	var roots []ssh.PublicKey
	for i, line := range lines {
		root, err := trust.ParseRoot(line)
		if err != nil {
			return nil, fmt.Errorf("root key %d: %w", i+1, err)
		}
		roots = append(roots, root)
	}
	return roots, nil
}

func (c *config) loadKeys(bundle *trust.Bundle) (*keys.Set, error) {
	private := map[string]crypto.Signer{}
	passphrase, err := c.passphrase()
	if err != nil {
		return nil, err
	}
	var list []error
	for _, k := range c.Keys {
		key, err := keys.Load(k.PrivateKeyFile, passphrase)
		if err != nil {
			list = append(list, fmt.Errorf("key %s: %w", k.KeyID, err))
			continue
		}
		private[k.KeyID] = key
	}
	if err := errors.Join(list...); err != nil {
		return nil, err
	}
	return keys.NewSet(private, bundle)
}

// passphrase is nil where the private keys are declared to be unencrypted.
func (c *config) passphrase() ([]byte, error) {
	if c.UnencryptedKeys {
		return nil, nil
	}
	return keys.ReadPassphrase(c.PassphraseFile)
}

func (c *config) loadSecrets() (*evidence.Verifier, error) {
	var secrets []evidence.Secret
	for _, s := range c.WebhookSecrets {
		text, err := keys.ReadPrivate(s.File)
		if err != nil {
			return nil, fmt.Errorf("webhook secret: %w", err)
		}
		secret := evidence.Secret{Value: strings.TrimSpace(string(text))}
		if s.RetiredAt != nil {
			secret.RetiredAt = *s.RetiredAt
		}
		secrets = append(secrets, secret)
	}
	return evidence.NewVerifier(secrets)
}

func (c *config) loadLegacyKeys() ([]license.Key, error) {
	if c.LegacyKeysFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.LegacyKeysFile)
	if err != nil {
		return nil, fmt.Errorf("legacy keys: %w", err)
	}
	ring, err := license.ParseKeyRing(text)
	if err != nil {
		return nil, fmt.Errorf("legacy keys: %w", err)
	}
	return ring.Keys(), nil
}

func (c *config) logConfig() (log.Config, error) {
	passphrase, err := c.passphrase()
	if err != nil {
		return log.Config{}, err
	}
	key, err := keys.Load(c.LogKeyFile, passphrase)
	if err != nil {
		return log.Config{}, fmt.Errorf("log key: %w", err)
	}
	return log.Config{Path: c.Store, Origin: c.LogOrigin, Key: key}, nil
}

package enforce

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/license"
)

func TestFingerprintComesFromOneOfThreePlaces(t *testing.T) {
	t.Setenv("ENFORCE_TEST_FINGERPRINT", "fp:env")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base := newRouter(t, nil)
	for _, c := range []struct {
		name, value, file, env string
		runs                   string // the instance that the router turns out to be
		problem                string
	}{
		{name: "none"},
		{name: "value", value: "fp:value", runs: "fp:value"},
		{name: "file", file: write("good", "fp:file\r\n"), runs: "fp:file"},
		{name: "variable", env: "ENFORCE_TEST_FINGERPRINT", runs: "fp:env"},
		{name: "value and file", value: "a", file: "b", problem: "not several"},
		{name: "file and variable", file: "a", env: "b", problem: "not several"},
		{name: "all three", value: "a", file: "b", env: "c", problem: "not several"},
		{name: "no such file", file: filepath.Join(dir, "none"), problem: "fingerprint file"},
		{name: "empty file", file: write("empty", "\n"), problem: "is empty"},
		{name: "large file", file: write("large", strings.Repeat("x", maxFingerprintFile+1)), problem: "larger"},
		{name: "a folder", file: dir, problem: "a folder"},
		{name: "no such variable", env: "ENFORCE_TEST_NONE", problem: "ENFORCE_TEST_NONE is not set"},
	} {
		config := base.settings
		config.Path = filepath.Join(t.TempDir(), "license.json")
		config.Fingerprint, config.FingerprintFile, config.FingerprintEnv = c.value, c.file, c.env
		m, err := New(config)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v, want %q", c.name, err, c.problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, instance := range []string{"fp:value", "fp:file", "fp:env"} {
			file := base.issue("lic_"+instance, func(p *license.Payload) { p.Deployment.AllowedInstances = []string{instance} })
			if err := os.WriteFile(config.Path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			if standing := m.Recheck(); (standing.Code == license.CodeValid && standing.Reason == "") != (instance == c.runs) {
				t.Errorf("%s: a license for %s is %+v", c.name, instance, standing)
			}
		}
	}
}

func TestConfigurationsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	base := newRouter(t, nil).settings
	for words, edit := range map[string]func(*Config){
		`must be "off" or "file"`:          func(c *Config) { c.Revocation.Mode = "on" },
		"Revocation.Path is required":      func(c *Config) { c.Revocation.Mode = RevocationFile },
		`need the mode "file"`:             func(c *Config) { c.Revocation.RequireCurrent = true },
		`FailClosed need the mode "file"`:  func(c *Config) { c.Revocation.FailClosed = true },
		`RequireCurrent and FailClosed n`:  func(c *Config) { c.Revocation = Revocation{Mode: RevocationOff, Path: "x"} },
		"RequestBlock and TokenBlock must": func(c *Config) { c.State.RequestBlock = -1 },
		"State.MustExist needs":            func(c *Config) { c.State.MustExist = true },
		"must not be negative":             func(c *Config) { c.State.TokenBlock = -1 },
		"RecheckInterval must not":         func(c *Config) { c.RecheckInterval = -1 },
		"one of Fingerprint, Fingerprint":  func(c *Config) { c.FingerprintEnv = "X" },
	} {
		config := base
		edit(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %q", err, words)
		}
	}
}

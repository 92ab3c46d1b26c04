package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// config is the witness's configuration file. Relative paths are relative to the file's folder. Nothing in it is secret.
type config struct {
	Source  string `json:"source"`            // "unix:PATH" or an http(s) URL
	LogKey  string `json:"log_key"`           // verifier_key, as signer keygen -role log prints it
	Dir     string `json:"dir"`               // the copy
	Poll    string `json:"poll,omitempty"`    // "10s" when absent
	Silence string `json:"silence,omitempty"` // "10m" when absent

	verifier      note.Verifier
	poll, silence time.Duration
}

// loadConfig reads and validates a configuration, telling all problems at once. Source and silence of the command line
// come before the file's when they are set.
func loadConfig(path, source string, silence time.Duration) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	c := &config{Poll: "10s", Silence: "10m"}
	if err := strictjson.Decode(text, c); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	if source != "" {
		c.Source = source
	} else if socket, ok := strings.CutPrefix(c.Source, "unix:"); ok && socket != "" && !filepath.IsAbs(socket) {
		c.Source = "unix:" + filepath.Join(filepath.Dir(path), socket)
	}
	if err := c.parse(); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	if silence > 0 {
		c.silence = silence
	}
	if c.silence <= c.poll {
		return nil, fmt.Errorf("configuration %s: silence is not longer than poll", path)
	}
	if !filepath.IsAbs(c.Dir) {
		c.Dir = filepath.Join(filepath.Dir(path), c.Dir)
	}
	return c, nil
}

func (c *config) parse() error {
	_, sourceErr := signer.NewLogClient(c.Source)
	verifier, keyErr := note.NewVerifier(c.LogKey)
	if keyErr != nil {
		keyErr = errors.New("log_key: not the verifier_key that signer keygen -role log prints")
	}
	var dirErr error
	if c.Dir == "" {
		dirErr = errors.New("dir is missing")
	}
	poll, pollErr := duration("poll", c.Poll)
	silence, silenceErr := duration("silence", c.Silence)
	c.verifier, c.poll, c.silence = verifier, poll, silence
	return errors.Join(sourceErr, keyErr, dirErr, pollErr, silenceErr)
}

func duration(name, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s: not a duration such as 10s or 10m", name)
	}
	return d, nil
}

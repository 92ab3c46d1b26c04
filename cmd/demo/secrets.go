package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/metrum-ai/licensing-portal/cmd/demo/place"
)

const secretsFile = "secrets.json"

// secrets are the demo's throw-away secrets, made once and kept for the caller
// alone; each part gets its own in a file of its own.
type secrets struct {
	Portal         string `json:"portal"`
	StripeAPIKey   string `json:"stripe_api_key"`
	WebhookSecret  string `json:"webhook_secret"`
	RouterPassword string `json:"router_password"`
	RouterToken    string `json:"router_token"`
}

func ensureSecrets(p *place.Place) (secrets, error) {
	path := filepath.Join(p.Dir, secretsFile)
	var s secrets
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &s); err != nil {
			return s, fmt.Errorf("%s: %w", path, err)
		}
		return s, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	s = secrets{
		Portal:         rand.Text() + rand.Text(),
		StripeAPIKey:   "rk_test_" + rand.Text(),
		WebhookSecret:  "whsec_" + rand.Text(),
		RouterPassword: rand.Text(),
		RouterToken:    rand.Text(),
	}
	if text, err = json.MarshalIndent(s, "", "  "); err != nil {
		return s, err
	}
	_, err = p.PutOwn(secretsFile, append(text, '\n'))
	return s, err
}

package enforce_test

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/enforce"
)

// Admit a request, reserve tokens for it, and settle with what the model used.
func ExampleManager_Begin() {
	dir, err := os.MkdirTemp("", "enforce")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "license.json")
	ring, err := issue(path, license.Limits{MaxTotalTokens: 5_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	manager, err := enforce.New(enforce.Config{
		Path:  path,
		Ring:  ring,
		State: enforce.State{Path: filepath.Join(dir, "state")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	serve := func(reserve, used int64) {
		ticket, err := manager.Begin(enforce.Request{Feature: license.FeatureRouting, Skin: "openai-chat", Tokens: reserve})
		if err != nil {
			code := license.CodeOf(err)
			fmt.Println(code, code.HTTPStatus())
			return
		}
		defer ticket.End()
		ticket.Settle(used)
		fmt.Println("used", manager.Counters().TokensUsed)
	}
	serve(4_000, 1_200)
	serve(4_000, 0)
	// Output:
	// used 1200
	// license-volume-exceeded 429
}

// issue writes a license that is valid for an hour, as the signer would.
func issue(path string, limits license.Limits) (*license.KeyRing, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	p := license.Payload{SchemaVersion: license.SchemaVersion, LicenseID: "lic_1", CustomerID: "cust_1",
		Product: license.Product, SKU: "pilot-30d", Features: []string{license.FeatureRouting}, Limits: limits,
		IssuedAt: now, NotBefore: now, ExpiresAt: now.Add(time.Hour), KeyID: "k1", Issuer: license.Issuer}
	canonical, err := p.Canonical()
	if err != nil {
		return nil, err
	}
	file, err := license.Encode(p, ed25519.Sign(private, canonical))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return nil, err
	}
	return license.NewKeyRing(license.Key{ID: "k1", Public: public})
}

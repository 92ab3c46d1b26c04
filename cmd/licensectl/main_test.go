//go:build unix

package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/metrum-ai/licensing-portal/license"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"licensectl": main})
}

const vectors = "../../license/testdata/vectors"

// Each script reads like a terminal. It finds the vectors and their key ring in $VECTORS, and in its own folder
// keys.json and the licenses of licensesFor.
func TestScripts(t *testing.T) {
	t.Parallel()
	vectorDir := filepath.Join(t.TempDir(), "vectors")
	if err := os.CopyFS(vectorDir, os.DirFS(vectors)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(vectorDir, "keys.json"), vectorKeys(t))
	issuer := newIssuer()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("VECTORS", vectorDir)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each process waits a second at its end under the race detector
			files := licensesFor(t, issuer)
			files["keys.json"] = issuer.keys(t)
			maps.Copy(files, issuer.revocations(t))
			for name, data := range files {
				writeFile(t, filepath.Join(env.WorkDir, name), data)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mode": checkMode, "link": checkLink, "fifo": makeFIFO,
			"router": startRouter, "portal": startPortal, "waitfor": waitFor, "waittaken": waitTaken},
	})
}

// licensesFor are licenses that are good today unless their name says otherwise, all of one customer but one.
func licensesFor(t *testing.T, issuer issuer) map[string][]byte {
	t.Helper()
	volume := func(p *license.Payload, sku string, tokens int64, deployment string) {
		p.SKU, p.Limits.MaxTotalTokens, p.ExpiresAt = sku, tokens, issuer.now.Add(300*24*time.Hour)
		p.Deployment.DeploymentID, p.Deployment.AllowedEnvironments = deployment, []string{"production", "staging"}
		p.Deployment.InstanceFingerprintRequired = true
	}
	edits := map[string]func(*license.Payload){
		"one":   nil,
		"two":   nil,
		"bound": func(p *license.Payload) { p.Deployment.AllowedInstances = []string{"fp:a"} },
		"eval": func(p *license.Payload) {
			p.SKU, p.Limits.MaxTotalTokens, p.Features = "eval-72h", 5_000_000, []string{"routing", "usage_reporting"}
			p.Deployment.DeploymentID, p.Deployment.AllowedEnvironments = "router-eu", []string{"evaluation"}
		},
		"pack5": func(p *license.Payload) {
			volume(p, "credit-pack-5m", 5_000_000, "router-us")
			p.Limits.MaxCallers, p.Features = 50, []string{"routing", "usage_reporting"}
		},
		"pack25": func(p *license.Payload) {
			volume(p, "credit-pack-25m", 25_000_000, "router-us")
			p.Limits.MaxCallers, p.Limits.MaxConcurrent = 100, 100
			p.Features = []string{"admin_reports", "routing", "usage_reporting"}
		},
		"stranger": func(p *license.Payload) { p.CustomerID = "cust_2" },
		"shorter":  func(p *license.Payload) { p.ExpiresAt = issuer.now.Add(20 * time.Hour) },
		"expired":  func(p *license.Payload) { p.ExpiresAt = issuer.now.Add(-time.Minute) },
		"next": func(p *license.Payload) {
			p.NotBefore, p.ExpiresAt = issuer.now.Add(72*time.Hour), issuer.now.Add(96*time.Hour)
		},
	}
	files := map[string][]byte{"odd.json": issuer.issue(t, "../odd\n", nil)}
	for name, edit := range edits {
		files[name+".json"] = issuer.issue(t, "lic_"+name, edit)
	}
	return files
}

// checkMode is the script command "mode WANT FILE".
func checkMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().String(); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// checkLink is the script command "link FILE": it is a symbolic link.
func checkLink(ts *testscript.TestScript, _ bool, args []string) {
	_, err := os.Readlink(ts.MkAbs(args[0]))
	ts.Check(err)
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type vectorIndex struct {
	Keys  []map[string]string
	Cases []struct{ File, Now, Verdict string }
}

func readVectorIndex(t *testing.T) (index vectorIndex) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, filepath.Join(vectors, "index.json")), &index); err != nil {
		t.Fatal(err)
	}
	return index
}

// vectorKeys is the vectors' key ring file, without their seed.
func vectorKeys(t *testing.T) []byte {
	t.Helper()
	index := readVectorIndex(t)
	for _, key := range index.Keys {
		delete(key, "seed_hex")
	}
	data, err := json.Marshal(map[string]any{"keys": index.Keys})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestVerifyGivesEachVectorItsVerdict(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, keys, vectorKeys(t))
	for _, c := range readVectorIndex(t).Cases {
		var stdout, stderr bytes.Buffer
		args := []string{"verify", "-keys", keys, "-now", c.Now, "-fingerprint", "fp:prod-a", filepath.Join(vectors, c.File)}
		exit := report(run(t.Context(), args, noEnvironment, nil, &stdout, &stderr), &stderr)
		switch {
		case c.Verdict == "accept":
			if exit != 0 || !strings.HasPrefix(stdout.String(), "license_id: lic_") {
				t.Errorf("%s: exit %d\n%s%s", c.File, exit, &stdout, &stderr)
			}
		case exit != 1 || !strings.HasPrefix(stderr.String(), c.Verdict+": ") || stdout.Len() > 0:
			t.Errorf("%s: exit %d, want %s\n%s%s", c.File, exit, c.Verdict, &stdout, &stderr)
		}
	}
}

func TestKeysAreLookedForInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issuer := newIssuer()
	good, bad, none := filepath.Join(dir, "good"), filepath.Join(dir, "bad"), filepath.Join(dir, "none")
	writeFile(t, good, issuer.keys(t))
	writeFile(t, bad, []byte("{}"))
	for _, c := range []struct{ flagged, environment, fallback, words string }{
		{good, bad, bad, ""},
		{"", good, bad, ""},
		{"", "", good, ""},
		{bad, good, good, "key ring: "},
		{"", bad, good, "key ring: "},
		{"", "", bad, "key ring: "},
		{none, good, good, "no such file"},
		{"", "", none, "give -keys FILE, set LICENSECTL_KEYS"},
	} {
		_, err := readKeys(c.flagged, func(string) string { return c.environment }, c.fallback)
		switch {
		case c.words == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words) || report(err, new(bytes.Buffer)) != 2):
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func noEnvironment(string) string { return "" }

// issuer signs licenses that are good today, all as of one moment.
type issuer struct {
	key ed25519.PrivateKey
	now time.Time
}

func newIssuer() issuer {
	return issuer{
		key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize)),
		now: time.Now().UTC().Truncate(time.Second),
	}
}

func (i issuer) keys(t *testing.T) []byte {
	t.Helper()
	ring, err := license.NewKeyRing(license.Key{ID: "k1", Public: i.key.Public().(ed25519.PublicKey)})
	if err != nil {
		t.Fatal(err)
	}
	data, err := ring.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (i issuer) issue(t *testing.T, id string, edit func(*license.Payload)) []byte {
	t.Helper()
	now := i.now
	p := license.Payload{SchemaVersion: 1, LicenseID: id, CustomerID: "cust_1", CustomerName: "Secret Name",
		Product: license.Product, SKU: "pilot-30d", Features: []string{"routing"}, KeyID: "k1", Issuer: license.Issuer,
		IssuedAt: now.Add(-time.Hour), NotBefore: now.Add(-time.Hour), ExpiresAt: now.Add(24 * time.Hour)}
	if edit != nil {
		edit(&p)
	}
	canonical, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	file, err := license.Encode(p, ed25519.Sign(i.key, canonical))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// revocations are bundles that revoked lic_two and superseded lic_pack5, and announce the suspension of lic_one; revoked.json
// has the epoch 7, and the others differ from it as they are named.
func (i issuer) revocations(t *testing.T) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"revoked.json":         i.bundle(t, nil),
		"revoked-older.json":   i.bundle(t, func(p *license.RevocationPayload) { p.RevocationEpoch = 6 }),
		"revoked-newer.json":   i.bundle(t, func(p *license.RevocationPayload) { p.RevocationEpoch, p.Entries = 8, nil }),
		"revoked-other.json":   i.bundle(t, func(p *license.RevocationPayload) { p.Entries = nil }),
		"revoked-expired.json": i.bundle(t, func(p *license.RevocationPayload) { p.RevocationEpoch, p.ExpiresAt = 9, i.now }),
	}
}

func (i issuer) bundle(t *testing.T, edit func(*license.RevocationPayload)) []byte {
	t.Helper()
	since := i.now.Add(-time.Minute)
	p := license.RevocationPayload{SchemaVersion: 1, RevocationSetID: "set-1", RevocationEpoch: 7, Product: license.Product,
		Issuer: license.Issuer, IssuedAt: since, NotBefore: since, ExpiresAt: i.now.Add(time.Hour), KeyID: "k1",
		Entries: []license.RevocationEntry{
			{LicenseID: "lic_two", Status: license.StatusRevoked, Reason: "refund", EffectiveAt: since},
			{LicenseID: "lic_one", Status: license.StatusSuspended, EffectiveAt: i.now.Add(10 * time.Hour)},
			{LicenseID: "lic_pack5", Status: license.StatusSuperseded, EffectiveAt: since, SupersededBy: "lic_pack25"},
		}}
	if edit != nil {
		edit(&p)
	}
	canonical, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	file, err := license.EncodeRevocationBundle(p, ed25519.Sign(i.key, canonical))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

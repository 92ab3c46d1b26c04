// Package founding makes, once for each demo, what a vendor makes before it
// sells: two root holders' keys, the signer's keys, three members of staff with
// a key in a file instead of a passkey, and the trust bundle with all of them
// and the launch templates, signed by both root holders.
//
// In production each of these is made by another person on another machine. In
// the demo one directory holds them all, which is why its bundle is marked as a
// demo's and is for Stripe's test mode only.
package founding

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/metrum-ai/licensing-portal/cmd/demo/place"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// The names of what is made.
const (
	LicenseKeyID    = "demo-license-1"
	RevocationKeyID = "demo-revocation-1"
	// Threshold is how many root holders must sign a bundle.
	Threshold = 2

	// RootKeysDir is where the root holders' keys are, in the demo's own
	// directory.
	RootKeysDir = "root-keys"

	bundleFile  = "trust.json"
	keyRingFile = "keys.json"
	rootsFile   = "root-keys.pub"

	// The keys sign longer than any demo is kept, also when the stand-in's
	// clock is moved on by years.
	signsFor    = 10 * 365 * 24 * time.Hour
	verifiesFor = 20 * 365 * 24 * time.Hour
)

var rootNames = []string{"root-a", "root-b"}

// Vendor is what was made.
type Vendor struct {
	Roots         []string // the root holders' public keys, a line each, as OpenSSH writes them
	Bundle        string   // path of the trust bundle, its signatures beside it
	KeyRing       string   // path of the key ring for routers and licensectl
	LicenseKey    string   // paths of private keys that the signer alone may read
	RevocationKey string
	LogKey        string
	Passphrase    string // path of what encrypts them
	// Staff are the software approvers of the bundle; a demo that was made
	// before there were any has none.
	Staff []Member
	// Origin is where passkeys may assert: where the demo was made.
	Origin string

	rootDir, stageDir string
}

// Member is one of the staff and the file of the key that stands for a passkey.
type Member struct {
	Name    string     `json:"name"`
	Role    trust.Role `json:"role"`
	KeyFile string     `json:"key_file"`
}

// staff of the demo: one who proposes, and two, since some requests take two
// approvers.
func staff(p *place.Place) []Member {
	return []Member{
		{"Demo Issuer", trust.RoleIssuer, p.PortalFile("staff-issuer.pem")},
		{"Demo Approver", trust.RoleApprover, p.PortalFile("staff-approver.pem")},
		{"Demo Second Approver", trust.RoleApprover, p.PortalFile("staff-second-approver.pem")},
	}
}

// Config says for whom the bundle is.
type Config struct {
	Account string           // Stripe's ID of the account whose events count
	Origin  string           // of the portal's pages, at localhost
	Now     func() time.Time // the clock
	Random  io.Reader
}

func vendor(p *place.Place) *Vendor {
	return &Vendor{
		Bundle: p.TrustFile(bundleFile), KeyRing: p.TrustFile(keyRingFile),
		LicenseKey: p.SignerFile("license.pem"), RevocationKey: p.SignerFile("revocation.pem"), LogKey: p.SignerFile("log.pem"),
		Passphrase: p.SignerFile("passphrase"),
		rootDir:    filepath.Join(p.Dir, RootKeysDir), stageDir: p.Dir,
	}
}

// Load returns what Make made in the place before.
func Load(p *place.Place) (*Vendor, error) {
	v := vendor(p)
	text, err := os.ReadFile(p.TrustFile(rootsFile))
	if err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	v.Roots = strings.Split(strings.TrimSpace(string(text)), "\n")
	if text, err = os.ReadFile(v.Bundle); err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	bundle, err := trust.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	if len(bundle.Approvers) > 0 {
		v.Staff, v.Origin = staff(p), bundle.WebAuthn.Origins[0]
	}
	return v, nil
}

// Make makes everything, also over what an interrupted one left.
func Make(p *place.Place, cfg Config) (*Vendor, error) {
	v := vendor(p)
	now := cfg.Now().UTC().Truncate(time.Second)
	bundle := trust.Bundle{
		SchemaVersion: trust.SchemaVersion, Version: 1, IssuedAt: now, Demo: true,
		Stripe:    trust.Stripe{Account: cfg.Account},
		Templates: catalog.Launch(),
		WebAuthn:  trust.WebAuthn{RPID: "localhost", Origins: []string{cfg.Origin}},
		Bounds:    trust.Bounds{ExtraMonths: 12, LimitFactor: 10},
		Caps:      trust.Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100},
	}
	secret := make([]byte, 32)
	if _, err := io.ReadFull(cfg.Random, secret); err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	passphrase := []byte(base64.StdEncoding.EncodeToString(secret))
	if _, err := p.PutSigner("passphrase", append(passphrase, '\n')); err != nil {
		return nil, err
	}
	for _, k := range []struct{ file, id, role string }{
		{"license.pem", LicenseKeyID, trust.RoleLicense},
		{"revocation.pem", RevocationKeyID, trust.RoleRevocation},
		{"log.pem", "", ""}, // signs checkpoints of the log; not in the bundle
	} {
		public, err := v.signerKey(p, k.file, passphrase, cfg.Random)
		if err != nil {
			return nil, err
		}
		if k.id == "" {
			continue
		}
		bundle.Keys = append(bundle.Keys, trust.Key{
			ID: k.id, Role: k.role, Status: trust.KeySigning,
			PublicKeyBase64: base64.StdEncoding.EncodeToString(public),
			SignFrom:        now.Add(-24 * time.Hour), SignUntil: now.Add(signsFor), VerifyUntil: now.Add(verifiesFor),
		})
	}
	v.Staff, v.Origin = staff(p), cfg.Origin
	for _, m := range v.Staff {
		key, file, err := software.Generate(cfg.Random)
		if err != nil {
			return nil, fmt.Errorf("founding: %w", err)
		}
		if _, err := p.PutPortal(filepath.Base(m.KeyFile), file); err != nil {
			return nil, err
		}
		bundle.Approvers = append(bundle.Approvers, key.Approver(m.Name, m.Role))
	}
	text, err := json.MarshalIndent(bundle, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	return v, v.publish(p, append(text, '\n'), cfg.Random)
}

// signerKey makes a private key that the signer alone may read.
func (v *Vendor) signerKey(p *place.Place, name string, passphrase []byte, random io.Reader) (ed25519.PublicKey, error) {
	path := filepath.Join(v.stageDir, ".new-"+name)
	if err := os.RemoveAll(path); err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	public, err := keys.Generate(path, passphrase, random)
	if err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	defer os.Remove(path)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	_, err = p.PutSigner(name, text)
	return public, err
}

// publish checks the bundle as the signer will, signs it with both root keys
// and writes it out, the bundle itself last.
func (v *Vendor) publish(p *place.Place, text []byte, random io.Reader) error {
	bundle, err := trust.Parse(text)
	if err != nil {
		return fmt.Errorf("founding: %w", err)
	}
	ring, err := bundle.KeyRing()
	if err != nil {
		return fmt.Errorf("founding: %w", err)
	}
	ringText, err := json.MarshalIndent(ring, "", "  ")
	if err != nil {
		return fmt.Errorf("founding: %w", err)
	}
	if err := os.MkdirAll(v.rootDir, 0o700); err != nil {
		return fmt.Errorf("founding: %w", err)
	}
	v.Roots = nil
	for _, name := range rootNames {
		root, err := v.rootKey(p, name, random)
		if err != nil {
			return err
		}
		signature, err := trust.Sign(root, text, random)
		if err != nil {
			return fmt.Errorf("founding: %w", err)
		}
		if _, err := p.PutTrust(bundleFile+"."+name+".sig", signature); err != nil {
			return err
		}
		v.Roots = append(v.Roots, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(root.PublicKey()))))
	}
	if _, err := p.PutTrust(rootsFile, []byte(strings.Join(v.Roots, "\n")+"\n")); err != nil {
		return err
	}
	if _, err := p.PutTrust(keyRingFile, append(ringText, '\n')); err != nil {
		return err
	}
	_, err = p.PutTrust(bundleFile, text)
	return err
}

// rootKey makes a root holder's key pair in OpenSSH's form, so that ssh-keygen
// can sign another bundle with it.
func (v *Vendor) rootKey(p *place.Place, name string, random io.Reader) (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(crypto.PrivateKey(private), name+" of the demo")
	if err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	if _, err := p.PutOwn(filepath.Join(RootKeysDir, name), pem.EncodeToMemory(block)); err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("founding: %w", err)
	}
	_, err = p.PutOwn(filepath.Join(RootKeysDir, name+".pub"), ssh.MarshalAuthorizedKey(signer.PublicKey()))
	return signer, err
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/metrum-ai/licensing-portal/cmd/demo/founding"
)

const (
	resultFile  = "demo.json"
	routerAdmin = "admin"
)

// result is what demo.json tells programs about a running demo.
type result struct {
	PortalURL           string `json:"portal_url"`
	RouterURL           string `json:"router_url"`
	StripeURL           string `json:"stripe_url"`
	MailURL             string `json:"mail_url"`
	DatabaseURL         string `json:"database_url"`
	WebhookSecret       string `json:"webhook_secret"`
	StripeAPIKey        string `json:"stripe_api_key"`
	SignerSocket        string `json:"signer_socket"`
	TrustFile           string `json:"trust_file"`
	KeysFile            string `json:"keys_file"`
	RouterLicensePath   string `json:"router_license_path"`
	RouterAdminUser     string `json:"router_admin_user"`
	RouterAdminPassword string `json:"router_admin_password"`
	RouterToken         string `json:"router_token"`

	RouterFingerprint string `json:"router_fingerprint"`
	SignerIsolated    bool   `json:"signer_isolated"`
	SignerConfig      string `json:"signer_config"`
	PIDDir            string `json:"pid_dir"`
	LogDir            string `json:"log_dir"`

	Staff []founding.Member `json:"staff"`
}

func (s *stack) result() result {
	return result{
		PortalURL: s.o.portalURL(), RouterURL: s.o.routerURL(), StripeURL: s.o.stripeURL(), MailURL: s.o.mailURL(),
		DatabaseURL: s.databaseURL, WebhookSecret: s.secrets.WebhookSecret, StripeAPIKey: s.secrets.StripeAPIKey,
		SignerSocket: s.socket(), TrustFile: s.vendor.Bundle, KeysFile: s.vendor.KeyRing,
		RouterLicensePath: s.licensePath(), RouterAdminUser: routerAdmin,
		RouterAdminPassword: s.secrets.RouterPassword, RouterToken: s.secrets.RouterToken,
		RouterFingerprint: fingerprint, SignerIsolated: s.noNetwork && s.place.Signer != nil,
		SignerConfig: s.place.SignerFile("signer.json"),
		PIDDir:       filepath.Join(s.o.dir, pidDir), LogDir: filepath.Join(s.o.dir, logDir),
		Staff: s.vendor.Staff,
	}
}

func (s *stack) putResult() error {
	text, err := json.MarshalIndent(s.result(), "", "  ")
	if err != nil {
		return err
	}
	_, err = s.place.PutOwn(resultFile, append(text, '\n'))
	return err
}

// removeResult keeps demo.json from telling of a demo that is not ready.
func removeResult(dir string) error {
	err := os.Remove(filepath.Join(dir, resultFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// announce prints what a new user does next.
func (s *stack) announce(w io.Writer) {
	r := s.result()
	fmt.Fprintf(w, `
ready

  Portal           %s
  Example router   %s/readyz
  Stripe stand-in  %s
  Mail catcher     %s

  %s

What to do next
  1. Open the portal: %s
  2. Sign in with any e-mail address; the mail with link and code arrives at %s
  3. Buy the package "Credit pack, 5M tokens" for the instance %s
     and pay with the good card; no money moves.
  4. When the order page says that your license is ready, download it, and install it:
       %s install license.json -keys %s -to %s
  5. See the router turn ready within 2 seconds:
       curl -i %s/readyz
  6. Give the money back: open the payment under Payments at %s and press Refund.
     The pages of the order and the license then say revoked, and within seconds the router refuses
     every request with license-revoked: a licensectl beside it fetches the new revocation bundle.

  Every address, path and throw-away secret is in %s, the logs in %s.
  Ctrl-C stops everything; the next start goes on from there.
`, r.PortalURL, r.RouterURL, r.StripeURL, r.MailURL, s.isolation(), r.PortalURL, r.MailURL, fingerprint,
		nearby(filepath.Join(s.o.programs, "licensectl")), r.KeysFile, r.RouterLicensePath,
		r.RouterURL, r.StripeURL, nearby(filepath.Join(s.o.dir, resultFile)), nearby(r.LogDir))
}

// isolation says plainly how far the signer is kept from the portal.
func (s *stack) isolation() string {
	switch {
	case s.place.Signer == nil:
		return "The signer is not isolated: it runs as the same user as the portal. Start the demo as root to see it isolated."
	case !s.noNetwork:
		return fmt.Sprintf("The signer is partly isolated: it runs as user %d, the portal as user %d, but this machine lets nobody\n"+
			"  make an empty network namespace, so it has a network.", s.place.Signer.UID, s.place.App.UID)
	default:
		return fmt.Sprintf("The signer is isolated: it runs as user %d without any network; portal, worker and router run as user %d.",
			s.place.Signer.UID, s.place.App.UID)
	}
}

// nearby shortens a path below the working directory.
func nearby(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if short, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

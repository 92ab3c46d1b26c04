package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/metrum-ai/licensing-portal/cmd/demo/founding"
	"github.com/metrum-ai/licensing-portal/cmd/demo/supervise"
	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// signerConfig is the signer's configuration file.
type signerConfig struct {
	Socket         string          `json:"socket"`
	SocketMode     string          `json:"socket_mode"`
	SocketGroup    string          `json:"socket_group,omitempty"`
	Store          string          `json:"store"`
	Trust          string          `json:"trust"`
	RootKeys       []string        `json:"root_keys"`
	RootThreshold  int             `json:"root_threshold"`
	Keys           []signerKey     `json:"keys"`
	PassphraseFile string          `json:"passphrase_file"`
	LogKeyFile     string          `json:"log_key_file"`
	LogOrigin      string          `json:"log_origin"`
	WebhookSecrets []signerWebhook `json:"webhook_secrets"`
	AllowedUIDs    []int           `json:"allowed_uids"`
}

type signerKey struct {
	KeyID          string `json:"key_id"`
	PrivateKeyFile string `json:"private_key_file"`
}

type signerWebhook struct {
	File string `json:"file"`
}

// putSignerConfig writes what the signer reads: its configuration and the
// webhook secret. The portal's user and the caller may ask it.
func (s *stack) putSignerConfig() (string, error) {
	webhook, err := s.place.PutSigner("webhook-secret", []byte(s.secrets.WebhookSecret+"\n"))
	if err != nil {
		return "", err
	}
	c := signerConfig{
		Socket: s.socket(), SocketMode: "0600", Store: s.place.SignerFile("log.db"),
		Trust: s.vendor.Bundle, RootKeys: s.vendor.Roots, RootThreshold: founding.Threshold,
		Keys: []signerKey{
			{founding.LicenseKeyID, s.vendor.LicenseKey},
			{founding.RevocationKeyID, s.vendor.RevocationKey},
		},
		PassphraseFile: s.vendor.Passphrase, LogKeyFile: s.vendor.LogKey, LogOrigin: "localhost/demo",
		WebhookSecrets: []signerWebhook{{webhook}},
		AllowedUIDs:    []int{os.Geteuid()},
	}
	if s.place.App != nil {
		c.SocketMode, c.SocketGroup = "0660", fmt.Sprint(s.place.App.GID)
		c.AllowedUIDs = append(c.AllowedUIDs, int(s.place.App.UID))
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", err
	}
	return s.place.PutSigner("signer.json", append(text, '\n'))
}

func (s *stack) socket() string { return s.place.SocketFile("signer.sock") }

func (s *stack) signerChild(config string) supervise.Child {
	client := signer.NewClient(s.socket())
	return supervise.Child{
		Name: "signer", Path: s.programs["signer"], Args: []string{"serve", "-config", config},
		Env: baseEnv(), As: s.place.Signer, NoNetwork: s.noNetwork,
		Ready: func(ctx context.Context) error {
			status, err := client.Status(ctx)
			if err == nil && !status.Ready {
				return fmt.Errorf("the signer is not ready: %s", status.Problem)
			}
			return err
		},
	}
}

// portalChild is one command of the portal.
func (s *stack) portalChild(name string, args ...string) supervise.Child {
	return supervise.Child{
		Name: name, Path: s.programs["portal"], Args: args, Env: s.portalEnv(), As: s.place.App,
	}
}

// portalEnv is the configuration of the portal's commands. The environment of
// a process is open to its own user alone, unlike its arguments.
func (s *stack) portalEnv() []string {
	env := append(baseEnv(),
		"DATABASE_URL="+s.databaseURL,
		"PORTAL_PUBLIC_URL="+s.o.portalURL(),
		"PORTAL_LISTEN="+s.o.address(0),
		"PORTAL_SECRET_FILE="+s.place.PortalFile("secret"),
		"PORTAL_CONTACT=support@demo.example",
		"SIGNER_SOCKET="+s.socket(),
		"STRIPE_API_KEY_FILE="+s.place.PortalFile("stripe-api-key"),
		"STRIPE_API_URL="+s.o.stripeURL(),
		"STRIPE_BILLING_ORIGIN="+s.o.stripeURL(), "STRIPE_CHECKOUT_ORIGIN="+s.o.stripeURL(),
		"MAIL_FROM=Licensing demo <licensing@demo.example>",
		"SIGN_INS_PER_IP=500", // everybody here has the same address
		"JOB_POLL_INTERVAL=10ms",
		"RECONCILE_INTERVAL=15s",
		"SHUTDOWN_TIMEOUT=3s",
	)
	if s.mail != nil {
		env = append(env, "SMTP_URL="+s.mail.smtpURL)
	}
	return append(env, s.o.pass...) // the last of two counts
}

func (s *stack) putPortalFiles() error {
	if _, err := s.place.PutPortal("secret", []byte(s.secrets.Portal+"\n")); err != nil {
		return err
	}
	_, err := s.place.PutPortal("stripe-api-key", []byte(s.secrets.StripeAPIKey+"\n"))
	return err
}

func (s *stack) licensePath() string     { return s.place.RouterFile("license.json") }
func (s *stack) revocationsPath() string { return s.place.RouterFile("revocations.json") }

// routerChild is the example router. It starts without a license.
func (s *stack) routerChild() (supervise.Child, error) {
	password, err := s.place.PutRouter("admin-password", []byte(s.secrets.RouterPassword+"\n"))
	if err != nil {
		return supervise.Child{}, err
	}
	token, err := s.place.PutRouter("token", []byte(s.secrets.RouterToken+"\n"))
	if err != nil {
		return supervise.Child{}, err
	}
	return supervise.Child{
		Name: "router", Path: s.programs["router"], As: s.place.App, Env: baseEnv(),
		Args: []string{
			"-license", s.licensePath(), "-keys", s.vendor.KeyRing, "-listen", s.o.address(1),
			"-revocations", s.revocationsPath(),
			"-fingerprint", fingerprint, "-recheck-interval", "2s", "-stop-timeout", "3s",
			"-admin-user", routerAdmin, "-admin-password-file", password, "-token-file", token,
		},
		Ready: supervise.HTTP(s.o.routerURL() + "/"),
	}, nil
}

// sidecarChild fetches the portal's revocation bundle to where the router
// reads it, as the router's user. It is ready once a bundle is there.
func (s *stack) sidecarChild() supervise.Child {
	return supervise.Child{
		Name: "revocations", Path: s.programs["licensectl"], As: s.place.App, Env: baseEnv(),
		Args: []string{
			"revocations", "-keys", s.vendor.KeyRing, "-watch", "1s",
			s.o.portalURL() + "/revocations.json", "-to", s.revocationsPath(),
		},
		Ready: func(context.Context) error {
			_, err := os.Stat(s.revocationsPath())
			return err
		},
	}
}

// baseEnv keeps the caller's environment, and what is secret in it, from the
// parts.
func baseEnv() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC", "HOME=/nonexistent", "USER=demo"}
}

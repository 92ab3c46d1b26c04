package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	signerlog "github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// licenseKey is the ID of the key that the signer signs with.
const licenseKey = "license-1"

// signing compares issuing over the signer's socket, with every check and a synced log, with a prototype of it.
func signing(ctx context.Context, l *lab) ([]result, error) {
	real, err := l.child(ctx, "signer")
	if err != nil {
		return nil, err
	}
	prototype, err := l.child(ctx, "prototype")
	if err != nil {
		return nil, err
	}
	template, err := packTemplate()
	if err != nil {
		return nil, err
	}
	issue := func(c *signer.Client) operation {
		return func(ctx context.Context, n int64) error {
			body, header, err := packSession(template, n).event(time.Now())
			if err != nil {
				return err
			}
			_, err = c.Issue(ctx, signer.IssueRequest{Event: &signer.Event{Body: body, SignatureHeader: header}})
			return err
		}
	}
	var results []result
	for _, callers := range []int{1, 8} {
		m, err := l.race(ctx, callers, issue(real), issue(prototype))
		if err != nil {
			return nil, err
		}
		results = append(results, atLeast(fmt.Sprintf("signer, issue at %d callers, against a prototype", callers), m[0], m[1], 0.5))
	}
	return results, nil
}

// packTemplate is the package that is bought everywhere here.
func packTemplate() (catalog.Template, error) {
	for _, t := range catalog.Launch() {
		if t.SKU == packSKU {
			return t, nil
		}
	}
	return catalog.Template{}, errors.New("the catalog has no " + packSKU)
}

// packSession is the n-th payment of a package; no order is stored for it.
func packSession(t catalog.Template, n int64) session {
	return sessionOf(catalog.Intent{
		OrderID: fmt.Sprintf("ord_bench%d", n), Kind: catalog.IssueNew, Template: t.Ref(), Quantity: 1, CustomerID: "cust_1",
		CustomerName: "Example & Söhne", DeploymentID: "dep_1", Environments: []string{"production"},
	}, fmt.Sprintf("cs_bench%d", n), t.Price.UnitAmount)
}

const packSKU = "credit-pack-5m"

// serveSigner is the signer on a new directory with keys of its own, until stdin ends.
func serveSigner(ctx context.Context, dir string, stdin io.Reader, stdout io.Writer) (err error) {
	bundle, raw, private, err := found(time.Now())
	if err != nil {
		return err
	}
	set, err := keys.NewSet(map[string]ed25519.PrivateKey{licenseKey: private}, bundle)
	if err != nil {
		return err
	}
	verifier, err := evidence.NewVerifier([]evidence.Secret{{Value: webhookSecret}})
	if err != nil {
		return err
	}
	_, logKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	config := signerlog.Config{Path: filepath.Join(dir, "log.db"), Origin: "bench/log", Key: logKey}
	if err := signerlog.Init(config); err != nil {
		return err
	}
	store, err := signerlog.Open(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.RememberTrust(bundle.Version, raw); err != nil {
		return err
	}
	issuer, err := server.New(server.Config{Bundle: bundle, BundleBytes: raw, Keys: set, Verifier: verifier, Log: store})
	if err != nil {
		return err
	}
	listener, err := server.Listen(server.Socket{Path: filepath.Join(dir, socketName), GroupID: -1}, nil)
	if err != nil {
		return err
	}
	return listener.Serve(untilEOF(ctx, stdin), issuer.Handler(), slog.New(slog.DiscardHandler), func() { fmt.Fprint(stdout, ready) })
}

// found makes a trust bundle whose caps nothing here reaches, and the key that it names.
func found(now time.Time) (*trust.Bundle, []byte, ed25519.PrivateKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	now = now.UTC().Truncate(time.Second)
	bundle := &trust.Bundle{
		SchemaVersion: 1, Version: 1, IssuedAt: now, Demo: true, Stripe: trust.Stripe{Account: "acct_bench"},
		Templates: catalog.Launch(), Caps: trust.Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100_000_000},
		Keys: []trust.Key{{
			ID: licenseKey, Role: trust.RoleLicense, PublicKeyBase64: base64.StdEncoding.EncodeToString(public), Status: trust.KeySigning,
			SignFrom: now.AddDate(0, -1, 0), SignUntil: now.AddDate(1, 0, 0), VerifyUntil: now.AddDate(6, 0, 0),
		}},
	}
	raw, err := json.Marshal(bundle)
	if err != nil {
		return nil, nil, nil, err
	}
	bundle, err = trust.Parse(raw)
	return bundle, raw, private, err
}

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// sample is a license as a customer with every kind of limit has it, signed with a key made for it.
func sample(now time.Time) (file, canonical, signature []byte, key license.Key, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, nil, key, err
	}
	now = now.UTC().Truncate(time.Second)
	p := license.Payload{
		SchemaVersion: 1, LicenseID: "lic_01jdb4rz7k2m9qpx", CustomerID: "cust_01jdb4rz7k2m9qpx", CustomerName: "Halden Robotics AS",
		Product: license.Product, SKU: "credit-pack-25m", Features: []string{"pii_filtering", "routing"},
		Limits: license.Limits{
			MaxCallers: 100, MaxTotalRequests: 1 << 50, MaxTotalTokens: 1 << 52, MaxConcurrent: 1000, MaxMonthlyRequests: 1 << 50,
			WindowRequests: 1 << 50, WindowTokens: 1 << 52, WindowDurationSeconds: 3600, AllowedSkins: []string{"openai-chat"},
		},
		Deployment: license.Deployment{
			DeploymentID: "dep_01jdb4rz7k2m9qpx", AllowedEnvironments: []string{"production", "staging"},
		},
		IssuedAt: now, NotBefore: now, ExpiresAt: now.AddDate(1, 0, 0), KeyID: "bench-1", Issuer: license.Issuer,
		Notes: "Order ord_01jdb4rz7k2m9qpx.",
	}
	if canonical, err = p.Canonical(); err != nil {
		return nil, nil, nil, key, err
	}
	signature = ed25519.Sign(private, canonical)
	file, err = license.Encode(p, signature)
	return file, canonical, signature, license.Key{ID: "bench-1", Public: public}, err
}

// verify compares reading a license file, from bytes to verdict, with the one signature check it cannot do without. The two
// take turns call by call.
func verify(_ context.Context, l *lab) ([]result, error) {
	now := time.Now()
	file, canonical, signature, key, err := sample(now)
	if err != nil {
		return nil, err
	}
	ring, err := license.NewKeyRing(key)
	if err != nil {
		return nil, err
	}
	var whole, bare []time.Duration
	for end := now.Add(time.Duration(l.rounds) * l.span); time.Now().Before(end); {
		start := time.Now()
		if _, err := license.Read(file, ring, now); err != nil {
			return nil, err
		}
		middle := time.Now()
		if !ed25519.Verify(key.Public, canonical, signature) {
			return nil, errors.New("the signature does not verify")
		}
		whole, bare = append(whole, middle.Sub(start)), append(bare, time.Since(middle))
	}
	ours, limit := median(whole), median(bare)
	ratio := float64(ours) / float64(limit)
	return []result{{
		name: fmt.Sprintf("verify a license file of %d bytes, against bare ed25519.Verify", len(file)),
		ours: microseconds(ours), limit: microseconds(limit), ratio: ratio, goal: "≤ 1.20", met: ratio <= 1.2,
	}}, nil
}

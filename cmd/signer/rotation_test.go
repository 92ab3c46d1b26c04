package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

func approver(name string, role trust.Role) error {
	key, file, err := software.Generate(rand.Reader)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(name+".pem", file, 0o600), json.NewEncoder(os.Stdout).Encode(key.Approver(name, role)))
}

// rotation writes a request to rotate a key, with the assertions of those who stand by it.
func rotation(keyID, atMost, bundle, out string) error {
	raw, err := os.ReadFile(bundle)
	if err != nil {
		return err
	}
	b, err := trust.Parse(raw)
	if err != nil {
		return err
	}
	most, err := strconv.Atoi(atMost)
	if err != nil {
		return err
	}
	request := approval.Request{
		ID: "req_" + keyID[len(keyID)-1:] + "00000000000000000000", Action: approval.ActionRotate, Proposer: "Ann",
		CreatedAt: time.Now().UTC().Truncate(time.Second), Reason: approval.ReasonKeyRotation,
		Explanation: "The key of the last year is retired.", Rotate: &approval.Rotate{KeyID: keyID, AtMost: most},
	}
	text, err := request.Text()
	if err != nil {
		return err
	}
	var assertions []approval.Assertion
	for _, name := range []string{"Ann", "Bob", "Cleo"} {
		key, err := software.Read(name + ".pem")
		if err != nil {
			return err
		}
		assertion, err := key.Assert(b.WebAuthn, approval.Digest(text))
		if err != nil {
			return err
		}
		assertions = append(assertions, assertion)
	}
	signed, err := json.Marshal(approval.Signed{Request: text, Proposal: assertions[0], Approvals: assertions[1:]})
	return errors.Join(err, os.WriteFile(out, signed, 0o600))
}

func replace(signed, base, out string) error {
	text, err := os.ReadFile(signed)
	if err != nil {
		return err
	}
	var s approval.Signed
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	envelope, err := os.ReadFile(base)
	if err != nil {
		return err
	}
	fresh, err := signer.NewClient("s").Issue(context.Background(), signer.IssueRequest{Approval: &s, BaseEnvelope: string(envelope)})
	if err != nil {
		return err
	}
	return os.WriteFile(out, fresh, 0o600)
}

// verify reads a license as a router with the ring would.
func verify(ringFile, licenseFile string) error {
	text, err := os.ReadFile(ringFile)
	if err != nil {
		return err
	}
	ring, err := license.ParseKeyRing(text)
	if err != nil {
		return err
	}
	data, err := license.ReadFile(licenseFile)
	if err != nil {
		return err
	}
	l, err := license.Read(data, ring, time.Now())
	if err != nil {
		return err
	}
	return l.CheckDates(time.Now())
}

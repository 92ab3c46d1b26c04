package view

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// passkeyPatience is how long the browser waits for the authenticator, in milliseconds.
const passkeyPatience = 120_000

// credential names a passkey to the browser.
type credential struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

func credentials(ids []string) []credential {
	list := make([]credential, len(ids))
	for i, id := range ids {
		list[i] = credential{"public-key", id}
	}
	return list
}

// creationOptions is what navigator.credentials.create is given, with bytes in base64url
// (https://www.w3.org/TR/webauthn-3/#dictdef-publickeycredentialcreationoptionsjson).
func creationOptions(i passkey.Invitation) string {
	type kind struct {
		Type string `json:"type"`
		Alg  int    `json:"alg"`
	}
	kinds := make([]kind, len(passkey.Algorithms))
	for n, algorithm := range passkey.Algorithms {
		kinds[n] = kind{"public-key", algorithm}
	}
	return options(map[string]any{
		"challenge":        encoded(i.Challenge),
		"rp":               map[string]string{"id": i.RPID, "name": "Router Licensing"},
		"user":             map[string]string{"id": encoded(i.User), "name": i.Name + " (" + string(i.Role) + ")", "displayName": i.Name},
		"pubKeyCredParams": kinds, "excludeCredentials": credentials(i.Known), "timeout": passkeyPatience, "attestation": "none",
		"authenticatorSelection": map[string]string{"residentKey": "preferred", "userVerification": "required"},
	})
}

func encoded(b [sha256.Size]byte) string { return base64.RawURLEncoding.EncodeToString(b[:]) }

func options(o map[string]any) string {
	text, _ := json.Marshal(o) // plain values cannot fail
	return string(text)
}

// record is an approver's entry as the root holders put it into a trust bundle.
func record(a trust.Approver) string {
	text, _ := json.MarshalIndent(a, "", "  ") // plain values cannot fail
	return string(text)
}

// roleWords says what somebody of a role does.
func roleWords(r trust.Role) string {
	switch r {
	case trust.RoleApprover:
		return "proposes, and approves what others propose"
	case trust.RoleFinance:
		return "proposes, and approves that an order is issued against its invoice"
	}
	return "proposes, and approves nothing"
}

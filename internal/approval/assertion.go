package approval

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/metrum-ai/licensing-portal/internal/strictjson"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// Bounds of an assertion, in bytes. Client data of browsers has about 200, an ECDSA signature at most 72.
const (
	maxClientData = 4096
	maxSignature  = 256
)

// Authenticator data without extensions (https://www.w3.org/TR/webauthn-3/#authenticator-data): the hash of the relying
// party ID, a byte of flags and a counter of four bytes. The counter decides nothing: synced passkeys report 0, and a used
// request is spent by its digest.
const (
	authenticatorDataSize = sha256.Size + 1 + 4

	flagUserPresent    = 1 << 0
	flagUserVerified   = 1 << 2
	flagBackupEligible = 1 << 3
	flagBackedUp       = 1 << 4
	flagAttested       = 1 << 6 // carries a credential: registration alone
	flagExtensions     = 1 << 7 // carries extensions, and the portal asks for none
)

// verify checks what https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion asks of a relying party. Errors wrap
// ErrMalformed or ErrInvalid.
func (a Assertion) verify(key crypto.PublicKey, challenge [sha256.Size]byte, w trust.WebAuthn) error {
	client, err := parseClientData(a.ClientDataJSON)
	if err != nil {
		return err
	}
	switch {
	case client.kind != "webauthn.get":
		return invalid("it is no assertion")
	case client.challenge != base64.RawURLEncoding.EncodeToString(challenge[:]):
		return invalid("it is over another text")
	case !slices.Contains(w.Origins, client.origin):
		return invalid("it was made at another origin")
	case client.crossOrigin:
		return invalid("it was made inside another site's page")
	}
	if err := checkAuthenticatorData(a.AuthenticatorData, w.RPID); err != nil {
		return err
	}
	if len(a.Signature) > maxSignature || !signed(key, a) {
		return invalid("the signature does not verify")
	}
	return nil
}

func invalid(what string) error { return fmt.Errorf("%w: %s", ErrInvalid, what) }

func checkAuthenticatorData(data []byte, rpID string) error {
	if len(data) != authenticatorDataSize {
		return malformed("the authenticator data is not 37 bytes")
	}
	party, flags := sha256.Sum256([]byte(rpID)), data[sha256.Size]
	switch {
	case !bytes.Equal(data[:sha256.Size], party[:]):
		return invalid("it was made for another relying party")
	case flags&flagUserPresent == 0 || flags&flagUserVerified == 0:
		return invalid("the authenticator did not verify its user")
	case flags&(flagAttested|flagExtensions) != 0 || flags&flagBackedUp != 0 && flags&flagBackupEligible == 0:
		return invalid("the authenticator data has flags of something else")
	}
	return nil
}

// signed checks the signature over the authenticator data and the hash of the client data.
func signed(key crypto.PublicKey, a Assertion) bool {
	client := sha256.Sum256(a.ClientDataJSON)
	message := slices.Concat(a.AuthenticatorData, client[:])
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(k, sum[:], a.Signature)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, a.Signature)
	}
	return false
}

// clientData is what a browser says of an assertion (https://www.w3.org/TR/webauthn-3/#dictdef-collectedclientdata).
type clientData struct {
	kind, challenge, origin string
	crossOrigin             bool
}

var errClientData = errors.New("it is no object, or a member that matters has another type")

// parseClientData reads client data strictly: no name twice, in whatever spelling, and the members that matter of their own
// types. Unknown members are allowed, since the specification reserves the right to add some.
func parseClientData(data []byte) (clientData, error) {
	var c clientData
	if len(data) > maxClientData {
		return c, malformed("the client data is too long")
	}
	texts := map[string]*string{"type": &c.kind, "challenge": &c.challenge, "origin": &c.origin}
	err := strictjson.Walk(data, func(path [][]byte, raw []byte) error {
		if len(path) == 0 {
			return errClientData
		}
		name := string(path[0])
		to, isText := texts[name]
		switch {
		case !isText && name != "crossOrigin" && name != "topOrigin":
			return nil
		case len(path) != 1 || name == "topOrigin": // which is there only where crossOrigin is true
			return errClientData
		case isText:
			value, ok := strictjson.Unquote(raw)
			if !ok {
				return errClientData
			}
			*to = value
			return nil
		case string(raw) != "true" && string(raw) != "false":
			return errClientData
		}
		c.crossOrigin = string(raw) == "true"
		return nil
	})
	if err != nil {
		return clientData{}, fmt.Errorf("%w: client data: %w", ErrMalformed, err)
	}
	return c, nil
}

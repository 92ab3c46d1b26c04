// Package passkey reads what browsers send of passkeys, and judges it with go-webauthn, which alone here knows CBOR: the
// registration that becomes a trust bundle's entry, and each assertion over a staff request before it is kept. The signer
// judges assertions by itself, with the standard library; this is the second opinion, asked first.
package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// MaxResponse bounds what a browser sends of a registration or an assertion, in bytes.
const MaxResponse = 16 << 10

// ErrRefused says that a registration or an assertion proves nothing. What it wraps is for logs, not for people.
var ErrRefused = errors.New("the passkey's answer proves nothing")

// Algorithms are the kinds of key that the signer verifies (https://www.iana.org/assignments/cose/cose.xhtml): ES256 and
// EdDSA.
var Algorithms = []int{int(webauthncose.AlgES256), int(webauthncose.AlgEdDSA)}

// Credential is a passkey as a trust bundle names it.
type Credential struct {
	ID              string // base64url without padding
	PublicKeyBase64 string // SPKI
}

// Register verifies the registration with which a browser answers a challenge: the JSON form of a PublicKeyCredential
// (https://www.w3.org/TR/webauthn-3/#dictdef-registrationresponsejson). It asks for no attestation: whose passkey it is,
// the root holders learn from the person. Errors wrap ErrRefused.
func Register(w trust.WebAuthn, challenge [sha256.Size]byte, response []byte) (Credential, error) {
	if len(response) > MaxResponse {
		return Credential{}, fmt.Errorf("%w: it is too long", ErrRefused)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Credential{}, refused(err)
	}
	parameters := make([]protocol.CredentialParameter, len(Algorithms))
	for i, algorithm := range Algorithms {
		parameters[i] = protocol.CredentialParameter{
			Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.COSEAlgorithmIdentifier(algorithm),
		}
	}
	_, err = parsed.Verify(base64.RawURLEncoding.EncodeToString(challenge[:]), w.RPID, w.Origins, nil, nil,
		protocol.TopOriginExplicitVerificationMode, false, true, true, nil, parameters, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
	if err != nil {
		return Credential{}, refused(err)
	}
	public, err := publicKey(parsed.Response.AttestationObject.AuthData.AttData.CredentialPublicKey)
	if err != nil {
		return Credential{}, refused(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Credential{}, refused(err)
	}
	return Credential{
		ID: base64.RawURLEncoding.EncodeToString(parsed.RawID), PublicKeyBase64: base64.StdEncoding.EncodeToString(der),
	}, nil
}

// publicKey turns a COSE key into one of the standard library's.
func publicKey(cose []byte) (crypto.PublicKey, error) {
	parsed, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return nil, err
	}
	switch k := parsed.(type) {
	case webauthncose.EC2PublicKeyData:
		return k.ToECDSA()
	case webauthncose.OKPPublicKeyData:
		return ed25519.PublicKey(k.XCoord), nil
	}
	return nil, errors.New("the key is neither ES256 nor EdDSA")
}

// Read takes an assertion out of the JSON form of a PublicKeyCredential
// (https://www.w3.org/TR/webauthn-3/#dictdef-authenticationresponsejson) and checks nothing but the form. Errors wrap
// ErrRefused.
func Read(response []byte) (approval.Assertion, error) {
	if len(response) > MaxResponse {
		return approval.Assertion{}, fmt.Errorf("%w: it is too long", ErrRefused)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return approval.Assertion{}, refused(err)
	}
	raw := parsed.Raw.AssertionResponse
	return approval.Assertion{
		CredentialID:      base64.RawURLEncoding.EncodeToString(parsed.RawID),
		AuthenticatorData: bytes.Clone(raw.AuthenticatorData), ClientDataJSON: bytes.Clone(raw.ClientDataJSON), Signature: bytes.Clone(raw.Signature),
	}, nil
}

// Check is go-webauthn's opinion of an assertion over a digest by an approver's passkey. Errors wrap ErrRefused.
func Check(w trust.WebAuthn, by trust.Approver, digest [sha256.Size]byte, a approval.Assertion) error {
	if by.CredentialID != a.CredentialID {
		return fmt.Errorf("%w: it is by another passkey", ErrRefused)
	}
	key, err := coseKey(by)
	if err != nil {
		return refused(err)
	}
	id, err := base64.RawURLEncoding.DecodeString(a.CredentialID)
	if err != nil {
		return refused(err)
	}
	parsed, err := protocol.CredentialAssertionResponse{
		PublicKeyCredential: protocol.PublicKeyCredential{
			Credential: protocol.Credential{ID: a.CredentialID, Type: string(protocol.PublicKeyCredentialType)}, RawID: id,
		},
		AssertionResponse: protocol.AuthenticatorAssertionResponse{
			AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: a.ClientDataJSON},
			AuthenticatorData:     a.AuthenticatorData, Signature: a.Signature,
		},
	}.Parse()
	if err != nil {
		return refused(err)
	}
	err = parsed.Verify(base64.RawURLEncoding.EncodeToString(digest[:]), w.RPID, "", w.Origins, nil, nil,
		protocol.TopOriginExplicitVerificationMode, false, true, true, key, protocol.SignaturePolicy{})
	if err != nil {
		return refused(err)
	}
	return nil
}

// coseKey writes an approver's key as go-webauthn takes it.
func coseKey(by trust.Approver) ([]byte, error) {
	der, err := base64.StdEncoding.DecodeString(by.PublicKeyBase64)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			return nil, err
		}
		half := len(point) / 2
		return webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
			PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
			Curve:         int64(webauthncose.P256), XCoord: point[1 : 1+half], YCoord: point[1+half:],
		})
	case ed25519.PublicKey:
		return webauthncbor.Marshal(webauthncose.OKPPublicKeyData{
			PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.OctetKey), Algorithm: int64(webauthncose.AlgEdDSA)},
			Curve:         int64(webauthncose.Ed25519), XCoord: k,
		})
	}
	return nil, errors.New("the key is neither ES256 nor EdDSA")
}

// refused keeps what go-webauthn says apart from what people read.
func refused(err error) error {
	var detail *protocol.Error
	if errors.As(err, &detail) && detail.DevInfo != "" {
		return fmt.Errorf("%w: %w: %s", ErrRefused, err, detail.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

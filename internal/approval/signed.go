// Package approval is what staff ask the signer to do, and how they stand by it: a request in one canonical text, and the
// passkey assertions of its proposer and its approvers over that text's digest.
//
// The portal writes requests and shows them whole; the signer reads them, decides how many people must have approved, and
// verifies every assertion against the trust bundle. Nothing that is not in the text is ever approved.
package approval

// Signed is a request with the assertions over it.
type Signed struct {
	Request   string      `json:"request"`   // the canonical text, as every assertion's challenge binds it
	Proposal  Assertion   `json:"proposal"`  // by who proposed it
	Approvals []Assertion `json:"approvals"` // by others
}

// Assertion is a WebAuthn assertion (https://www.w3.org/TR/webauthn-3/#authentication-assertion) whose challenge is a
// request's digest. Its bytes are as the authenticator gave them.
type Assertion struct {
	CredentialID      string `json:"credential_id"` // base64url without padding; names the key in the trust bundle
	AuthenticatorData []byte `json:"authenticator_data"`
	ClientDataJSON    []byte `json:"client_data_json"`
	Signature         []byte `json:"signature"`
}

package license

import (
	"crypto/ed25519"
	"encoding/base64"
	"strconv"
)

// Canonical returns the bytes that are signed, built as a license's are: names sorted, no white space, entries in
// their order, effective_at always there, empty reason and superseded_by never. It errors when the payload breaks a
// rule of the format, so that nothing can be signed that no router would accept.
func (p RevocationPayload) Canonical() ([]byte, error) {
	for _, check := range []func() *Error{p.representable, p.check,
		func() *Error { return p.checkUnique(p.sorted()) }} {
		if err := check(); err != nil {
			return nil, failedRevocation(err)
		}
	}
	canonical, err := p.appendCanonical(nil)
	if err != nil {
		return nil, failedRevocation(err)
	}
	return canonical, nil
}

// appendCanonical stops where escapes would make more of a hostile file than its own size allows.
func (p *RevocationPayload) appendCanonical(buf []byte) ([]byte, *Error) {
	w := writer{buf: buf}
	w.open('{')
	w.member("entries").open('[')
	for i := range p.Entries {
		w.element()
		p.Entries[i].write(&w)
		if len(w.buf) > MaxRevocationFileSize {
			return nil, invalid("what is signed is larger than " + strconv.Itoa(MaxRevocationFileSize) + " bytes")
		}
	}
	w.close(']')
	w.member("expires_at").time(p.ExpiresAt)
	w.member("issued_at").time(p.IssuedAt)
	w.member("issuer").string(p.Issuer)
	w.member("key_id").string(p.KeyID)
	w.member("not_before").time(p.NotBefore)
	w.member("product").string(p.Product)
	w.member("revocation_epoch").integer(p.RevocationEpoch)
	w.member("revocation_set_id").string(p.RevocationSetID)
	w.member("schema_version").integer(p.SchemaVersion)
	w.close('}')
	return w.buf, nil
}

func (e *RevocationEntry) write(w *writer) {
	w.open('{')
	w.member("effective_at").time(e.EffectiveAt)
	w.member("license_id").string(e.LicenseID)
	w.optionalString("reason", e.Reason)
	w.member("status").string(e.Status)
	w.optionalString("superseded_by", e.SupersededBy)
	w.close('}')
}

// EncodeRevocationBundle builds the file around p and the 64-byte Ed25519 signature over p.Canonical(): indented as
// a license is, but for the entries, of which each is on a line of its own. It errors when p breaks a rule of the
// format, when the signature has another length, or when the file would be larger than MaxRevocationFileSize; it
// does not verify.
func EncodeRevocationBundle(p RevocationPayload, signature []byte) ([]byte, error) {
	if _, err := p.Canonical(); err != nil {
		return nil, err
	}
	if len(signature) != ed25519.SignatureSize {
		return nil, failedRevocation(invalid("an Ed25519 signature has 64 bytes, this one " + strconv.Itoa(len(signature))))
	}
	w := &writer{indent: true}
	w.open('{')
	w.member("payload")
	p.encode(w)
	w.member("signature").open('{')
	w.member("algorithm").string(Algorithm)
	w.member("key_id").string(p.KeyID)
	w.member("value_base64").string(base64.StdEncoding.EncodeToString(signature))
	w.close('}')
	w.close('}')
	w.buf = append(w.buf, '\n')
	if len(w.buf) > MaxRevocationFileSize {
		return nil, failedRevocation(tooLargeRevocation())
	}
	return w.buf, nil
}

func (p *RevocationPayload) encode(w *writer) {
	w.open('{')
	w.member("schema_version").integer(p.SchemaVersion)
	w.member("revocation_set_id").string(p.RevocationSetID)
	w.member("revocation_epoch").integer(p.RevocationEpoch)
	w.member("product").string(p.Product)
	w.member("issuer").string(p.Issuer)
	w.member("issued_at").time(p.IssuedAt)
	w.member("not_before").time(p.NotBefore)
	w.member("expires_at").time(p.ExpiresAt)
	w.member("key_id").string(p.KeyID)
	w.member("entries").open('[')
	for i := range p.Entries {
		w.element()
		line := writer{buf: w.buf}
		p.Entries[i].write(&line)
		w.buf = line.buf
	}
	w.close(']')
	w.close('}')
}

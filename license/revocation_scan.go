package license

import "strings"

// revocationEnvelope is what a well-formed bundle says; nothing in it is trusted before the signature verified.
type revocationEnvelope struct {
	payload   RevocationPayload
	signature signature
	size      int // of the file in bytes: a guess at the size of the canonical payload
}

// parseRevocationEnvelope reads the bundle's shape and types. Texts share the memory of the file's.
func parseRevocationEnvelope(text string) (*revocationEnvelope, *Error) {
	if strings.HasPrefix(text, byteOrderMark) {
		return nil, invalid("the file begins with a byte-order mark: save it as plain UTF-8")
	}
	s := &scanner{text: text}
	e := &revocationEnvelope{size: len(text)}
	const (
		payload = iota
		signature
		all = 1<<iota - 1
	)
	seen := s.object(func(name string) int {
		switch name {
		case "payload":
			s.revocationPayload(&e.payload)
			return payload
		case "signature":
			s.signature(&e.signature)
			return signature
		}
		return -1
	})
	s.end()
	if s.err == nil && seen != all {
		s.err = invalid("the file must hold a payload and a signature")
	}
	if s.err != nil {
		return nil, s.err
	}
	return e, nil
}

func (s *scanner) revocationPayload(p *RevocationPayload) {
	const (
		schemaVersion = iota
		setID
		epoch
		product
		issuer
		issuedAt
		notBefore
		expiresAt
		keyID
		entries
		all = 1<<iota - 1
	)
	seen := s.object(func(name string) int {
		switch name {
		case "schema_version":
			p.SchemaVersion = s.integer()
			return schemaVersion
		case "revocation_set_id":
			p.RevocationSetID = s.string()
			return setID
		case "revocation_epoch":
			p.RevocationEpoch = s.integer()
			return epoch
		case "product":
			p.Product = s.string()
			return product
		case "issuer":
			p.Issuer = s.string()
			return issuer
		case "issued_at":
			p.IssuedAt = s.timestamp()
			return issuedAt
		case "not_before":
			p.NotBefore = s.timestamp()
			return notBefore
		case "expires_at":
			p.ExpiresAt = s.timestamp()
			return expiresAt
		case "key_id":
			p.KeyID = s.string()
			return keyID
		case "entries":
			p.Entries = s.revocationEntries()
			return entries
		}
		return -1
	})
	if s.err == nil && seen != all {
		s.fail("the payload lacks a required name")
	}
}

// revocationEntries makes room once, for as many entries as the rest of the text can name: growing a list of 100,000
// would take twice the memory.
func (s *scanner) revocationEntries() []RevocationEntry {
	room := min(strings.Count(s.text[s.pos:], `"license_id"`), MaxRevocations)
	var list []RevocationEntry
	if room > 0 {
		list = make([]RevocationEntry, 0, room)
	}
	s.array(func() {
		if len(list) == MaxRevocations {
			s.fail(tooManyRevocations().Reason)
			return
		}
		list = append(list, s.revocationEntry())
	})
	return list
}

func (s *scanner) revocationEntry() (e RevocationEntry) {
	const (
		licenseID = iota
		status
		effectiveAt
		required = 1<<iota - 1
	)
	const (
		reason = iota + 3
		supersededBy
	)
	seen := s.object(func(name string) int {
		switch name {
		case "license_id":
			e.LicenseID = s.string()
			return licenseID
		case "status":
			e.Status = s.string()
			return status
		case "effective_at":
			e.EffectiveAt = s.timestamp()
			return effectiveAt
		case "reason":
			e.Reason = s.string()
			return reason
		case "superseded_by":
			e.SupersededBy = s.string()
			return supersededBy
		}
		return -1
	})
	if s.err == nil && seen&required != required {
		s.fail("an entry must hold license_id, status and effective_at")
	}
	return e
}

package license

import (
	"slices"
	"strconv"
	"time"
)

// License is a file whose signature verified and whose payload keeps every rule of the format. There is no other
// way to get one than Read. It is immutable and safe for concurrent use.
type License struct {
	payload Payload
	raw     string
}

// Read parses an envelope strictly, verifies its signature with the key ring as of now (a key is trusted in
// [NotBefore, NotAfter]) and checks schema, issuer, product, the remaining rules and features, in this order. It
// does not look at the license's own dates or at instances: Check does. Every error is an *Error.
func Read(data []byte, ring *KeyRing, now time.Time) (*License, error) {
	if len(data) > MaxFileSize {
		return nil, invalid("the file is larger than " + strconv.Itoa(MaxFileSize) + " bytes")
	}
	raw := string(data)
	e, err := parseEnvelope(raw)
	if err != nil {
		return nil, err
	}
	if err := e.verify(ring, now); err != nil {
		return nil, err
	}
	if err := e.payload.check(); err != nil {
		return nil, err
	}
	return &License{payload: e.payload, raw: raw}, nil
}

// verify checks the signature over the canonical payload.
func (e *envelope) verify(ring *KeyRing, now time.Time) *Error {
	key, err := e.signature.key(ring, RoleLicense, e.payload.KeyID, now)
	if err != nil {
		return err
	}
	const typical = 2 << 10 // bytes; a longer payload grows the buffer
	return e.signature.check(key, e.payload.appendCanonical(make([]byte, 0, typical)))
}

// Check reports whether the license may serve at now on the instance with the given raw fingerprint ("" for none):
// CheckDates and then CheckInstance.
func (l *License) Check(now time.Time, fingerprint string) error {
	if err := l.CheckDates(now); err != nil {
		return err
	}
	return l.CheckInstance(fingerprint)
}

// CheckDates reports whether now is in [not_before, expires_at). Grace_until never matters here.
func (l *License) CheckDates(now time.Time) error {
	switch {
	case now.Before(l.payload.NotBefore):
		return refuse(CodeNotYetValid, "valid from "+l.payload.NotBefore.Format(time.RFC3339))
	case !now.Before(l.payload.ExpiresAt):
		return refuse(CodeExpired, "expired at "+l.payload.ExpiresAt.Format(time.RFC3339))
	}
	return nil
}

// CheckInstance reports whether the license may serve on the instance with the given raw fingerprint ("" for none).
func (l *License) CheckInstance(fingerprint string) error {
	if err := l.payload.checkInstance(fingerprint); err != nil {
		return err
	}
	return nil
}

// Payload returns a copy of the claims.
func (l *License) Payload() Payload {
	p := l.payload
	p.Features = slices.Clone(p.Features)
	p.Limits.AllowedSkins = slices.Clone(p.Limits.AllowedSkins)
	p.Deployment.AllowedEnvironments = slices.Clone(p.Deployment.AllowedEnvironments)
	p.Deployment.AllowedInstances = slices.Clone(p.Deployment.AllowedInstances)
	p.Deployment.AllowedInstanceFingerprints = slices.Clone(p.Deployment.AllowedInstanceFingerprints)
	return p
}

// Allows reports whether the license includes the feature, by its name or by "*".
func (l *License) Allows(feature string) bool {
	return slices.Contains(l.payload.Features, feature) || slices.Contains(l.payload.Features, FeatureAll)
}

// Bytes returns the file as it was read.
func (l *License) Bytes() []byte { return []byte(l.raw) }

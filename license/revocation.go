package license

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What a revocation bundle says about a license.
const (
	StatusRevoked    = "revoked"
	StatusSuspended  = "suspended"
	StatusSuperseded = "superseded"
)

// Bounds of a revocation bundle.
const (
	MaxRevocationFileSize = 32 << 20 // bytes, of the file and of what is signed
	MaxRevocations        = 200_000  // entries
	MaxRevocationText     = 512      // bytes, of each text of an entry
)

// RevocationPayload is the signed claims of a revocation bundle. Times are whole seconds in UTC.
type RevocationPayload struct {
	SchemaVersion   int64             `json:"schema_version"`
	RevocationSetID string            `json:"revocation_set_id"`
	RevocationEpoch int64             `json:"revocation_epoch"` // positive; only ever grows
	Product         string            `json:"product"`
	Issuer          string            `json:"issuer"`
	IssuedAt        time.Time         `json:"issued_at"`
	NotBefore       time.Time         `json:"not_before"`
	ExpiresAt       time.Time         `json:"expires_at"`
	KeyID           string            `json:"key_id"`
	Entries         []RevocationEntry `json:"entries"` // one a license
}

// RevocationEntry says what became of one license, and from when.
type RevocationEntry struct {
	LicenseID    string    `json:"license_id"`
	Status       string    `json:"status"`                  // StatusRevoked, StatusSuspended or StatusSuperseded
	Reason       string    `json:"reason,omitempty"`        // left out when empty
	EffectiveAt  time.Time `json:"effective_at"`            // pending before; zero: at once
	SupersededBy string    `json:"superseded_by,omitempty"` // a license ID; with StatusSuperseded alone
}

// Pending reports whether the entry is announced and not yet in effect at now.
func (e RevocationEntry) Pending(now time.Time) bool { return now.Before(e.EffectiveAt) }

// Code returns the status code that a router reports for the entry once it is in effect.
func (e RevocationEntry) Code() Code {
	switch e.Status {
	case StatusSuspended:
		return CodeSuspended
	case StatusSuperseded:
		return CodeSuperseded
	default:
		return CodeRevoked
	}
}

// RevocationBundle is a bundle whose signature verified and whose payload keeps every rule of the format. There is
// no other way to get one than ReadRevocationBundle and LoadRevocationBundle. It is immutable and safe for
// concurrent use.
type RevocationBundle struct {
	payload RevocationPayload
	byID    []int32 // the entries' numbers, in the order of their license IDs
}

// ReadRevocationBundle parses and verifies a bundle as Read does a license: strictly, with a key of the ring that is
// trusted at now for revocation. It does not look at the bundle's dates: CheckDates does. Every error is an *Error
// with CodeRevocationFailed.
func ReadRevocationBundle(data []byte, ring *KeyRing, now time.Time) (*RevocationBundle, error) {
	if len(data) > MaxRevocationFileSize {
		return nil, failedRevocation(tooLargeRevocation())
	}
	return readRevocations(string(data), ring, now)
}

func readRevocations(text string, ring *KeyRing, now time.Time) (*RevocationBundle, error) {
	e, err := parseRevocationEnvelope(text)
	if err == nil {
		err = e.verify(ring, now)
	}
	if err == nil {
		err = e.payload.check()
	}
	if err != nil {
		return nil, failedRevocation(err)
	}
	byID := e.payload.sorted()
	if err := e.payload.checkUnique(byID); err != nil {
		return nil, failedRevocation(err)
	}
	return &RevocationBundle{payload: e.payload, byID: byID}, nil
}

// failedRevocation gives a refusal the one code that a router reports for a bundle it cannot trust.
func failedRevocation(err *Error) *Error {
	return refuse(CodeRevocationFailed, "revocation bundle: "+err.Reason)
}

func tooLargeRevocation() *Error {
	return invalid("the file is larger than " + strconv.Itoa(MaxRevocationFileSize) + " bytes")
}

// verify checks the signature over the canonical payload.
func (e *revocationEnvelope) verify(ring *KeyRing, now time.Time) *Error {
	key, err := e.signature.key(ring, RoleRevocation, e.payload.KeyID, now)
	if err != nil {
		return err
	}
	canonical, err := e.payload.appendCanonical(make([]byte, 0, e.size))
	if err != nil {
		return err
	}
	return e.signature.check(key, canonical)
}

// CheckDates reports whether now is in [not_before, expires_at): whether the bundle is the current one. The error's
// code is CodeRevocationMissing. What a bundle says about a license stays true after it expired.
func (b *RevocationBundle) CheckDates(now time.Time) error {
	switch {
	case now.Before(b.payload.NotBefore):
		return refuse(CodeRevocationMissing, "the revocation bundle is valid from "+b.payload.NotBefore.Format(time.RFC3339))
	case !now.Before(b.payload.ExpiresAt):
		return refuse(CodeRevocationMissing, "the revocation bundle expired at "+b.payload.ExpiresAt.Format(time.RFC3339)+
			": fetch the current one")
	}
	return nil
}

// Lookup returns what the bundle says about a license, whether in effect or still pending.
func (b *RevocationBundle) Lookup(licenseID string) (entry RevocationEntry, found bool) {
	i, found := slices.BinarySearchFunc(b.byID, licenseID, func(number int32, id string) int {
		return strings.Compare(b.payload.Entries[number].LicenseID, id)
	})
	if !found {
		return RevocationEntry{}, false
	}
	return b.payload.Entries[b.byID[i]], true
}

// Epoch returns the bundle's number. A reader refuses a lower one than it has seen.
func (b *RevocationBundle) Epoch() int64 { return b.payload.RevocationEpoch }

// ExpiresAt returns when the bundle is no longer the current one.
func (b *RevocationBundle) ExpiresAt() time.Time { return b.payload.ExpiresAt }

// NotBefore returns from when the bundle is the current one.
func (b *RevocationBundle) NotBefore() time.Time { return b.payload.NotBefore }

// Len returns the number of entries.
func (b *RevocationBundle) Len() int { return len(b.byID) }

// Payload returns a copy of the claims, entries in the order of the file.
func (b *RevocationBundle) Payload() RevocationPayload {
	p := b.payload
	p.Entries = slices.Clone(p.Entries)
	return p
}

// check applies the rules of the format but one, that every license is named once.
func (p *RevocationPayload) check() *Error {
	switch {
	case p.SchemaVersion != SchemaVersion:
		return invalid("schema_version must be 1: this reader knows no other")
	case p.Issuer != Issuer:
		return invalid("the issuer is not " + Issuer)
	case p.Product != Product:
		return invalid("it is for another product than " + Product)
	case p.RevocationSetID == "" || p.KeyID == "":
		return invalid("revocation_set_id and key_id must not be empty")
	case p.RevocationEpoch <= 0 || p.RevocationEpoch >= maxNumber:
		return invalid("revocation_epoch must be a positive integer below 2^53")
	case p.NotBefore.Before(p.IssuedAt):
		return invalid("not_before is before issued_at")
	case !p.NotBefore.Before(p.ExpiresAt):
		return invalid("expires_at is not after not_before")
	case len(p.Entries) > MaxRevocations:
		return tooManyRevocations()
	}
	for i := range p.Entries {
		if err := p.Entries[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func tooManyRevocations() *Error {
	return invalid("more than " + strconv.Itoa(MaxRevocations) + " entries")
}

func (e *RevocationEntry) check() *Error {
	switch {
	case e.LicenseID == "":
		return invalid("an entry names no license_id")
	case len(e.LicenseID) > MaxRevocationText || len(e.Reason) > MaxRevocationText || len(e.SupersededBy) > MaxRevocationText:
		return invalid("a text of an entry is longer than " + strconv.Itoa(MaxRevocationText) + " bytes")
	case e.Status != StatusRevoked && e.Status != StatusSuspended && e.Status != StatusSuperseded:
		return invalid("an entry's status is not revoked, suspended or superseded")
	case e.SupersededBy != "" && e.Status != StatusSuperseded:
		return invalid("superseded_by is for the status superseded alone")
	case e.SupersededBy == e.LicenseID:
		return invalid("an entry is superseded by itself")
	}
	return nil
}

// sorted returns the numbers of the entries in the order of their license IDs.
func (p *RevocationPayload) sorted() []int32 {
	byID := make([]int32, len(p.Entries))
	for i := range byID {
		byID[i] = int32(i) // MaxRevocations bounds it
	}
	slices.SortFunc(byID, func(a, b int32) int {
		return strings.Compare(p.Entries[a].LicenseID, p.Entries[b].LicenseID)
	})
	return byID
}

// checkUnique refuses a second entry for a license, of which two readers could take one each.
func (p *RevocationPayload) checkUnique(byID []int32) *Error {
	for i := 1; i < len(byID); i++ {
		if p.Entries[byID[i-1]].LicenseID == p.Entries[byID[i]].LicenseID {
			return invalid("two entries name the same license_id")
		}
	}
	return nil
}

// representable refuses what a struct can hold and the canonical payload cannot.
func (p *RevocationPayload) representable() *Error {
	good := writable(p.IssuedAt) && writable(p.NotBefore) && writable(p.ExpiresAt)
	text := utf8.ValidString(p.RevocationSetID) && utf8.ValidString(p.KeyID)
	for i := range p.Entries {
		e := &p.Entries[i]
		good = good && writable(e.EffectiveAt)
		text = text && utf8.ValidString(e.LicenseID) && utf8.ValidString(e.Reason) && utf8.ValidString(e.SupersededBy)
	}
	switch {
	case !good:
		return invalid("a time of the payload is not in UTC and whole seconds, of the years 1 to 9999")
	case !text:
		return invalid("a text of the payload is not valid UTF-8")
	}
	return nil
}

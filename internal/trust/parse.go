package trust

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
	"github.com/metrum-ai/licensing-portal/license"
)

// SchemaVersion is the version of the bundle's own form.
const SchemaVersion = 1

// MaxBytes bounds a bundle file.
const MaxBytes = 4 << 20

// Parse reads a bundle strictly and validates it whole, telling all problems at once. It does not look at signatures.
func Parse(data []byte) (*Bundle, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("trust bundle: larger than %d bytes", MaxBytes)
	}
	var b Bundle
	if err := strictjson.Decode(data, &b); err != nil {
		return nil, fmt.Errorf("trust bundle: %w", err)
	}
	if err := errors.Join(b.problems()...); err != nil {
		return nil, fmt.Errorf("trust bundle: %w", err)
	}
	return &b, nil
}

var (
	accountID = regexp.MustCompile(`^acct_[0-9A-Za-z]{1,64}$`)
	keyID     = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$`)
)

// problems lists everything that is wrong with the bundle.
func (b *Bundle) problems() []error {
	var list []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			list = append(list, fmt.Errorf(format, args...))
		}
	}
	bad(b.SchemaVersion != SchemaVersion, "schema_version is not %d", SchemaVersion)
	bad(b.Version < 1, "version is not positive")
	bad(b.IssuedAt.IsZero(), "issued_at is missing")
	bad(b.Demo && b.Stripe.Livemode, "a demo bundle is for test mode only")
	bad(b.Stripe.Account != "" && !accountID.MatchString(b.Stripe.Account), "stripe.account is not acct_ and letters or digits")
	bad(b.Stripe.Account == "" && b.Stripe.Livemode, "stripe.account is missing")
	bad(b.Caps.FreePerDay < 0 || b.Caps.FreePerCustomer < 0 || b.Caps.PerDay < 0, "a cap is negative")
	bad(b.Bounds.ExtraMonths < 0 || b.Bounds.ExtraMonths > maxExtraMonths, "bounds.extra_months is not 0 to %d", maxExtraMonths)
	bad(b.Bounds.LimitFactor < 0 || b.Bounds.LimitFactor > maxLimitFactor, "bounds.limit_factor is not 0 to %d", maxLimitFactor)
	bad(len(b.Keys) == 0, "no keys")
	bad(len(b.Templates) == 0, "no templates")
	list = append(list, b.keyProblems()...)
	list = append(list, b.templateProblems()...)
	return append(list, b.approverProblems()...)
}

func (b *Bundle) keyProblems() []error {
	var list []error
	seen := map[string]bool{}
	for i, k := range b.Keys {
		for _, other := range b.Keys[:i] {
			if k.mayStandFor(other) {
				list = append(list, fmt.Errorf("keys %s and %s: both sign at one time", other.ID, k.ID))
			}
		}
		name := fmt.Sprintf("key %d (%s)", i, k.ID)
		public, err := k.Public()
		if err != nil {
			list = append(list, fmt.Errorf("%s: %w", name, err))
		}
		if seen[k.ID] || seen[string(public)] {
			list = append(list, fmt.Errorf("%s: key ID or public key repeats", name))
		}
		seen[k.ID], seen[string(public)] = true, true
		if err := k.check(); err != nil {
			list = append(list, fmt.Errorf("%s: %w", name, err))
		}
	}
	return list
}

// mayStandFor reports whether both keys could sign the same license: then the same evidence could get two signatures.
func (k Key) mayStandFor(other Key) bool {
	return k.Role == other.Role && k.signs() && other.signs() && k.SignFrom.Before(other.SignUntil) && other.SignFrom.Before(k.SignUntil)
}

// signs reports whether the key signs at all; one that went to verify_only signs only what comes late, see SigningKey.
func (k Key) signs() bool { return k.Status == KeySigning || k.Status == KeyVerifyOnly }

func (k Key) check() error {
	switch {
	case !keyID.MatchString(k.ID):
		return errors.New("key_id is not 1 to 64 letters, digits, dots, dashes or underscores")
	case k.Role != RoleLicense && k.Role != RoleRevocation:
		return errors.New("role is neither license nor revocation")
	case !slices.Contains(keyStates, k.Status):
		return errors.New("unknown status")
	case k.SignFrom.IsZero() || !k.SignUntil.After(k.SignFrom) || k.VerifyUntil.Before(k.SignUntil):
		return errors.New("times are not sign_from < sign_until <= verify_until")
	}
	return nil
}

func (b *Bundle) templateProblems() []error {
	var list []error
	seen := map[string]bool{}
	for _, t := range b.Templates {
		if seen[t.Ref()] {
			list = append(list, fmt.Errorf("template %s: repeats", t.Ref()))
		}
		seen[t.Ref()] = true
		if err := t.Check(); err != nil {
			list = append(list, fmt.Errorf("template %s: %w", t.Ref(), err))
		}
	}
	return list
}

// The roles of a key.
const (
	RoleLicense    = "license"
	RoleRevocation = "revocation"
)

var keyStates = []KeyStatus{KeyPlanned, KeyPublished, KeySigning, KeyVerifyOnly, KeyRetired, KeyRevoked}

// Public decodes the key.
func (k Key) Public() (ed25519.PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(k.PublicKeyBase64)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, errors.New("public_key_base64 is not 32 bytes of standard base64")
	}
	return raw, nil
}

// Verifies reports whether a router should trust the key: published, signing or past signing, and not withdrawn.
func (k Key) Verifies() bool {
	return k.Status == KeyPublished || k.Status == KeySigning || k.Status == KeyVerifyOnly
}

// LateSigning is how long after its window a key may still sign for an event that was created inside it.
const LateSigning = 7 * 24 * time.Hour

// SigningKey finds the key of a role that signs what was issued at the given time: the one whose window holds issuedAt,
// and whose window, with LateSigning, is not over now. There is at most one, since windows do not overlap. A key in the
// state signing begins by itself when its window does. One that was put to verify_only signs nothing while its window
// lasts, and late events after it, as one in the state signing does.
func (b *Bundle) SigningKey(role string, issuedAt, now time.Time) (Key, bool) {
	for _, k := range b.Keys {
		inside := !issuedAt.Before(k.SignFrom) && issuedAt.Before(k.SignUntil)
		from := k.SignFrom
		if k.Status == KeyVerifyOnly {
			from = k.SignUntil
		}
		if k.signs() && inside && k.Role == role && !now.Before(from) && now.Before(k.SignUntil.Add(LateSigning)) {
			return k, true
		}
	}
	return Key{}, false
}

// Template finds a template by its reference sku@version.
func (b *Bundle) Template(ref string) (catalog.Template, bool) {
	i := slices.IndexFunc(b.Templates, func(t catalog.Template) bool { return t.Ref() == ref })
	if i < 0 {
		return catalog.Template{}, false
	}
	return b.Templates[i], true
}

// Newest finds the newest version of a SKU.
func (b *Bundle) Newest(sku string) (newest catalog.Template, found bool) {
	for _, t := range b.Templates {
		if t.SKU == sku && t.Version > newest.Version {
			newest, found = t, true
		}
	}
	return newest, found
}

// OnSale returns the newest open version of every SKU, in the bundle's order of first appearance.
func (b *Bundle) OnSale(at time.Time) []catalog.Template {
	var list []catalog.Template
	for _, t := range b.Templates {
		if !t.Open(at) {
			continue
		}
		i := slices.IndexFunc(list, func(other catalog.Template) bool { return other.SKU == t.SKU })
		if i < 0 {
			list = append(list, t)
		} else if t.Version > list[i].Version {
			list[i] = t
		}
	}
	return list
}

// KeyRing is the ring that a router trusts: the license and revocation keys that may verify, until VerifyUntil. It sets
// no earlier bound: a router whose clock is behind must not refuse a key for that, and a key signs nothing before its
// window anyway.
func (b *Bundle) KeyRing() (*license.KeyRing, error) {
	var keys []license.Key
	for _, k := range b.Keys {
		if !k.Verifies() {
			continue
		}
		public, err := k.Public()
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.ID, err)
		}
		keys = append(keys, license.Key{ID: k.ID, Role: k.Role, Public: public, NotAfter: k.VerifyUntil.UTC()})
	}
	return license.NewKeyRing(keys...)
}

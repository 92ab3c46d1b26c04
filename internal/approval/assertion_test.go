package approval_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// verdict is what a case must come to. Where the signer is stricter than go-webauthn, that is on purpose.
type verdict int

const (
	accepted verdict = iota
	refused
	stricter
)

// judge compares both verdicts with the expected one.
func judge(t *testing.T, want verdict, a approval.Assertion, by authenticator, digest [sha256.Size]byte) {
	t.Helper()
	who, ours := approval.Who(bundleOf(by), a, digest)
	theirs := secondOpinion(t, a, by.entry, relyingParty, digest)
	if (ours == nil) != (want == accepted) {
		t.Errorf("the signer says %v", ours)
	}
	if (theirs == nil) != (want != refused) {
		t.Errorf("go-webauthn says %v", theirs)
	}
	if ours != nil && !errors.Is(ours, approval.ErrInvalid) && !errors.Is(ours, approval.ErrMalformed) {
		t.Errorf("an error of no kind: %v", ours)
	}
	if (who == by.entry) != (ours == nil) {
		t.Errorf("it names %+v", who)
	}
}

var keyTypes = map[string]func(testing.TB, string, trust.Role) authenticator{"P-256": passkey, "Ed25519": edPasskey}

func TestClientDataMustBeABrowsersOverTheDigest(t *testing.T) {
	t.Parallel()
	digest := approval.Digest("text")
	good := string(goodClient(digest))
	challenge := base64.RawURLEncoding.EncodeToString(digest[:])
	other := approval.Digest("another text")
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	add := func(member string) string { return swap(`false}`, `false,`+member+`}`) }
	cases := map[string]struct {
		client string
		want   verdict
	}{
		"as it should be":          {good, accepted},
		"no crossOrigin":           {swap(`,"crossOrigin":false`, ``), accepted},
		"an unknown member":        {add(`"other_keys_can_be_added_here":"do not compare"`), accepted},
		"an unknown object":        {add(`"hints":{"type":"x","a":[1]}`), accepted},
		"white space":              {swap(`,"origin":`, " ,\n \"origin\" : "), accepted},
		"an escaped slash":         {swap("https://", `https:\/\/`), accepted},
		"the other origin":         {swap(origin, relyingParty.Origins[0]), accepted},
		"a registration":           {swap("webauthn.get", "webauthn.create"), refused},
		"no type":                  {swap(`"type":"webauthn.get",`, ``), refused},
		"a type of no text":        {swap(`"webauthn.get"`, `true`), refused},
		"a type in an object":      {swap(`"webauthn.get"`, `{"type":"webauthn.get"}`), refused},
		"another challenge":        {swap(challenge, base64.RawURLEncoding.EncodeToString(other[:])), refused},
		"a padded challenge":       {swap(challenge, challenge+"="), refused},
		"a hexadecimal challenge":  {swap(challenge, hex.EncodeToString(digest[:])), refused},
		"half a challenge":         {swap(challenge, challenge[:20]), refused},
		"no challenge":             {swap(challenge, ""), refused},
		"another host":             {swap(origin, "https://portal.example.org"), refused},
		"another scheme":           {swap(origin, "http://portal.example.com"), refused},
		"another port":             {swap(origin, origin+":8443"), refused},
		"the scheme's own port":    {swap(origin, origin+":443"), stricter},
		"an origin in capitals":    {swap(origin, "HTTPS://PORTAL.EXAMPLE.COM"), stricter},
		"an origin with a slash":   {swap(origin, origin+"/"), stricter},
		"no origin":                {swap(origin, ""), refused},
		"an origin of no text":     {swap(`"`+origin+`"`, `null`), refused},
		"in another site's page":   {swap(`"crossOrigin":false`, `"crossOrigin":true`), refused},
		"crossOrigin as text":      {swap(`"crossOrigin":false`, `"crossOrigin":"false"`), refused},
		"crossOrigin as an object": {swap(`"crossOrigin":false`, `"crossOrigin":{"a":true}`), refused},
		"crossOrigin null":         {swap(`"crossOrigin":false`, `"crossOrigin":null`), stricter},
		"a top origin":             {add(`"topOrigin":"` + origin + `"`), refused},
		"an empty top origin":      {add(`"topOrigin":""`), stricter},
		"a name twice":             {add(`"type":"webauthn.get"`), stricter},
		"a name in capitals":       {add(`"Type":"webauthn.get"`), stricter},
		"a name in capitals alone": {swap(`"type"`, `"TYPE"`), stricter},
		"an escaped name twice":    {add(`"\u0074ype":"webauthn.get"`), stricter},
		"invalid UTF-8":            {add("\"x\":\"\xff\""), stricter},
		"a lone surrogate":         {add(`"x":"\ud800"`), stricter},
		"a long member":            {add(`"x":"` + strings.Repeat("x", 4096) + `"`), stricter},
		"data after it":            {good + " {}", refused},
		"a byte-order mark":        {"\ufeff" + good, refused},
		"an array":                 {"[" + good + "]", refused},
		"a text":                   {`"webauthn.get"`, refused},
		"null":                     {`null`, refused},
		"nothing":                  {``, refused},
	}
	for kind, make := range keyTypes {
		by := make(t, "Ada", trust.RoleApprover)
		for name, c := range cases {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				judge(t, c.want, by.sign(t, []byte(c.client), goodData(0x05)), by, digest)
			})
		}
	}
}

func TestAuthenticatorDataMustSayThatTheUserWasVerifiedHere(t *testing.T) {
	t.Parallel()
	digest := approval.Digest("text")
	elsewhere := sha256.Sum256([]byte("example.org"))
	cases := map[string]struct {
		data []byte
		want verdict
	}{
		"present and verified":       {goodData(0x05), accepted},
		"of a synced passkey":        {goodData(0x1d), accepted},
		"of one that may be synced":  {goodData(0x0d), accepted},
		"reserved flags":             {goodData(0x27), accepted},
		"a counter of zero":          {append(goodData(0x05)[:33], 0, 0, 0, 0), accepted},
		"not verified":               {goodData(0x01), refused},
		"not present":                {goodData(0x04), refused},
		"neither":                    {goodData(0x00), refused},
		"backed up but not eligible": {goodData(0x15), stricter},
		"with a credential":          {goodData(0x45), refused},
		"with no extensions":         {goodData(0x85), refused},
		"with extensions":            {append(goodData(0x85), 0xa0), stricter},
		"extensions without a flag":  {append(goodData(0x05), 0xa0), refused},
		"another relying party":      {append(elsewhere[:], 0x05, 0, 0, 0, 7), refused},
		"too short":                  {goodData(0x05)[:36], refused},
		"too long":                   {append(goodData(0x05), 0), refused},
		"none":                       {nil, refused},
	}
	for kind, make := range keyTypes {
		by := make(t, "Ada", trust.RoleApprover)
		for name, c := range cases {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				judge(t, c.want, by.sign(t, goodClient(digest), c.data), by, digest)
			})
		}
	}
}

func TestTheSignatureMustBeTheKeysOwn(t *testing.T) {
	t.Parallel()
	digest := approval.Digest("text")
	for kind, make := range keyTypes {
		by, stranger := make(t, "Ada", trust.RoleApprover), make(t, "Mallory", trust.RoleApprover)
		good := by.over(t, "text")
		otherKind := passkey(t, "Ada", trust.RoleApprover)
		if kind == "P-256" {
			otherKind = edPasskey(t, "Ada", trust.RoleApprover)
		}
		cases := map[string]struct {
			signature []byte
			want      verdict
		}{
			"as it should be":     {good.Signature, accepted},
			"a stranger's":        {stranger.over(t, "text").Signature, refused},
			"another kind of key": {otherKind.over(t, "text").Signature, refused},
			"over another text":   {by.over(t, "another text").Signature, refused},
			"cut":                 {good.Signature[:len(good.Signature)-1], refused},
			"with a byte after":   {append(slices.Clone(good.Signature), 0), refused},
			"with many after":     {append(slices.Clone(good.Signature), bytes.Repeat([]byte{0}, 300)...), refused},
			"zeros":               {bytes.Repeat([]byte{0}, len(good.Signature)), refused},
			"none":                {nil, refused},
		}
		for name, c := range cases {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				a := good
				a.Signature = c.signature
				judge(t, c.want, a, by, digest)
			})
		}
	}
}

// TestAnECDSASignatureHasOneEncoding also writes down that s may be replaced by n - s: what a signature approves is bound by
// the digest, so that nothing hangs on its bytes.
func TestAnECDSASignatureHasOneEncoding(t *testing.T) {
	t.Parallel()
	digest, by := approval.Digest("text"), passkey(t, "Ada", trust.RoleApprover)
	good := by.over(t, "text")
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(good.Signature, &rs); err != nil {
		t.Fatal(err)
	}
	raw := append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	padded := slices.Concat([]byte{0x30, byte(len(good.Signature) - 1), 0x02, good.Signature[3] + 1, 0}, good.Signature[4:])
	negative := rs
	negative.S = new(big.Int).Neg(rs.S)
	mirrored := rs
	mirrored.S = new(big.Int).Sub(elliptic.P256().Params().N, rs.S)
	for name, c := range map[string]struct {
		signature []byte
		want      verdict
	}{
		"r and s alone":  {raw, refused},
		"padded":         {padded, refused},
		"negative":       {mustASN1(t, negative), refused},
		"the mirrored s": {mustASN1(t, mirrored), accepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := good
			a.Signature = c.signature
			judge(t, c.want, a, by, digest)
		})
	}
}

func mustASN1(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestEveryByteOfAnAssertionCounts alters each byte of each field once.
func TestEveryByteOfAnAssertionCounts(t *testing.T) {
	t.Parallel()
	digest := approval.Digest("text")
	for kind, make := range keyTypes {
		by := make(t, "Ada", trust.RoleApprover)
		good := by.over(t, "text")
		for field, of := range map[string]func(*approval.Assertion) *[]byte{
			"authenticator data": func(a *approval.Assertion) *[]byte { return &a.AuthenticatorData },
			"client data":        func(a *approval.Assertion) *[]byte { return &a.ClientDataJSON },
			"signature":          func(a *approval.Assertion) *[]byte { return &a.Signature },
		} {
			for i := range *of(&good) {
				a := good
				to := of(&a)
				*to = slices.Clone(*to)
				(*to)[i] ^= 1
				if _, err := approval.Who(bundleOf(by), a, digest); err == nil {
					t.Errorf("%s: byte %d of the %s does not count", kind, i, field)
				}
				if secondOpinion(t, a, by.entry, relyingParty, digest) == nil {
					t.Errorf("%s: go-webauthn accepts byte %d of the %s", kind, i, field)
				}
			}
		}
		for i := range good.CredentialID {
			a, id := good, []byte(good.CredentialID)
			id[i] ^= 1
			a.CredentialID = string(id)
			if _, err := approval.Who(bundleOf(by), a, digest); !errors.Is(err, approval.ErrInvalid) {
				t.Errorf("%s: byte %d of the credential ID: %v", kind, i, err)
			}
		}
	}
}

func TestACredentialIDNamesOnePasskeyAlone(t *testing.T) {
	t.Parallel()
	digest, ada, bob := approval.Digest("text"), passkey(t, "Ada", trust.RoleApprover), passkey(t, "Bob", trust.RoleApprover)
	for name, id := range map[string]string{
		"another's": bob.entry.CredentialID, "padded": ada.entry.CredentialID + "==", "empty": "", "unknown": "AAAA",
	} {
		a := ada.over(t, "text")
		a.CredentialID = id
		if _, err := approval.Who(bundleOf(ada, bob), a, digest); !errors.Is(err, approval.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package license

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// revocationPayload is a bundle that is good at vectorNow.
func revocationPayload() RevocationPayload {
	return RevocationPayload{
		SchemaVersion: 1, RevocationSetID: "public", RevocationEpoch: 7, Product: Product, Issuer: Issuer,
		IssuedAt: vectorNow, NotBefore: vectorNow, ExpiresAt: vectorNow.AddDate(0, 0, 35), KeyID: "rev-1",
		Entries: []RevocationEntry{
			{LicenseID: "lic_c", Status: StatusSuperseded, EffectiveAt: vectorNow.AddDate(0, 0, 7), SupersededBy: "lic_d"},
			{LicenseID: "lic_a", Status: StatusRevoked, Reason: "refunded", EffectiveAt: vectorNow},
			{LicenseID: "lic_b", Status: StatusSuspended, Reason: "dispute <open>"},
		},
	}
}

func revocationSigner() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
}

func revocationRing(tb testing.TB, role string) *KeyRing {
	tb.Helper()
	ring, err := NewKeyRing(Key{ID: "rev-1", Role: role, Public: revocationSigner().Public().(ed25519.PublicKey)})
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// signRevocations issues p with the key rev-1, whatever rules it breaks.
func signRevocations(tb testing.TB, p RevocationPayload) []byte {
	tb.Helper()
	canonical, refusal := p.appendCanonical(nil)
	if refusal != nil {
		tb.Fatal(refusal)
	}
	w := &writer{}
	p.encode(w)
	return []byte(`{"payload":` + string(w.buf) + `,"signature":{"algorithm":"ed25519","key_id":"` + p.KeyID +
		`","value_base64":"` + base64.StdEncoding.EncodeToString(ed25519.Sign(revocationSigner(), canonical)) + `"}}`)
}

func encodeRevocations(tb testing.TB, p RevocationPayload) []byte {
	tb.Helper()
	canonical, err := p.Canonical()
	if err != nil {
		tb.Fatal(err)
	}
	file, err := EncodeRevocationBundle(p, ed25519.Sign(revocationSigner(), canonical))
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

func TestRevocationBundleSurvivesWritingAndReading(t *testing.T) {
	t.Parallel()
	p := revocationPayload()
	file := encodeRevocations(t, p)
	b, err := ReadRevocationBundle(file, revocationRing(t, RoleRevocation), vectorNow)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b.Payload(), p) || b.Epoch() != 7 || b.Len() != 3 || b.ExpiresAt() != p.ExpiresAt || b.NotBefore() != p.NotBefore {
		t.Errorf("read as %+v", b.Payload())
	}
	b.Payload().Entries[0].LicenseID = "changed"
	for _, want := range p.Entries {
		if got, found := b.Lookup(want.LicenseID); !found || got != want {
			t.Errorf("%s: %+v %v", want.LicenseID, got, found)
		}
	}
	for _, id := range []string{"", "lic_", "lic_aa", "lic_d", "LIC_A"} {
		if got, found := b.Lookup(id); found {
			t.Errorf("%q is said to be %+v", id, got)
		}
	}
}

// The files are part of the format: a signer elsewhere must make the same bytes, and a reader elsewhere accept them.
func TestRevocationBundleIsWrittenByteForByte(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("testdata", "revocations", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	file, canonical := read("accept-three-entries.json"), read("accept-three-entries.canonical")
	got, err := revocationPayload().Canonical()
	if err != nil || string(got) != canonical {
		t.Errorf("canonical (%v)\n got %s\nwant %s", err, got, canonical)
	}
	if got := encodeRevocations(t, revocationPayload()); string(got) != file {
		t.Errorf("file\n got %s\nwant %s", got, file)
	}
	ring, err := ReadKeyRing(filepath.Join("testdata", "revocations", "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := ReadRevocationBundle([]byte(file), ring, vectorNow); err != nil || !reflect.DeepEqual(b.Payload(), revocationPayload()) {
		t.Errorf("not read as it was written: %v", err)
	}
}

func TestRevocationEntriesArePendingUntilTheirSecond(t *testing.T) {
	t.Parallel()
	e := RevocationEntry{EffectiveAt: vectorNow}
	for offset, want := range map[time.Duration]bool{-time.Second: true, -1: true, 0: false, time.Second: false} {
		if e.Pending(vectorNow.Add(offset)) != want {
			t.Errorf("%v from effective_at: pending is not %v", offset, want)
		}
	}
	if (RevocationEntry{}).Pending(vectorNow) {
		t.Error("an entry without a time is pending")
	}
	for status, want := range map[string]Code{StatusRevoked: CodeRevoked, StatusSuspended: CodeSuspended, StatusSuperseded: CodeSuperseded, "": CodeRevoked} {
		if got := (RevocationEntry{Status: status}).Code(); got != want {
			t.Errorf("%q is %s, want %s", status, got, want)
		}
	}
}

func TestRevocationBundleIsCurrentBetweenItsDates(t *testing.T) {
	t.Parallel()
	b, err := ReadRevocationBundle(encodeRevocations(t, revocationPayload()), revocationRing(t, ""), vectorNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now     time.Time
		current bool
	}{
		{vectorNow.Add(-1), false}, {vectorNow, true}, {b.ExpiresAt().Add(-1), true}, {b.ExpiresAt(), false},
	} {
		if err := b.CheckDates(c.now); (err == nil) != c.current || err != nil && CodeOf(err) != CodeRevocationMissing {
			t.Errorf("%v: %v", c.now, err)
		}
	}
}

func TestSignedBundlesThatBreakARuleAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxRevocationText+1)
	cases := []struct {
		name  string
		edit  func(*RevocationPayload)
		words string
	}{
		{"schema 2", func(p *RevocationPayload) { p.SchemaVersion = 2 }, "schema_version"},
		{"issuer", func(p *RevocationPayload) { p.Issuer = "x" }, "issuer"},
		{"product", func(p *RevocationPayload) { p.Product = "x" }, "another product"},
		{"no set", func(p *RevocationPayload) { p.RevocationSetID = "" }, "must not be empty"},
		{"epoch 0", func(p *RevocationPayload) { p.RevocationEpoch = 0 }, "revocation_epoch"},
		{"not_before before issued_at", func(p *RevocationPayload) { p.NotBefore = p.IssuedAt.Add(-time.Second) }, "issued_at"},
		{"expires at its start", func(p *RevocationPayload) { p.ExpiresAt = p.NotBefore }, "expires_at"},
		{"entry without license", func(p *RevocationPayload) { p.Entries[0].LicenseID = "" }, "names no license_id"},
		{"status unknown", func(p *RevocationPayload) { p.Entries[1].Status = "Revoked" }, "status"},
		{"status empty", func(p *RevocationPayload) { p.Entries[1].Status = "" }, "status"},
		{"superseded_by with another status", func(p *RevocationPayload) { p.Entries[1].SupersededBy = "lic_x" }, "superseded alone"},
		{"superseded by itself", func(p *RevocationPayload) { p.Entries[0].SupersededBy = "lic_c" }, "by itself"},
		{"license twice", func(p *RevocationPayload) { p.Entries[2].LicenseID = "lic_c" }, "same license_id"},
		{"long license", func(p *RevocationPayload) { p.Entries[0].LicenseID = long }, "longer than"},
		{"long reason", func(p *RevocationPayload) { p.Entries[0].Reason = long }, "longer than"},
		{"long successor", func(p *RevocationPayload) { p.Entries[0].SupersededBy = long }, "longer than"},
	}
	for _, c := range cases {
		p := revocationPayload()
		c.edit(&p)
		_, err := ReadRevocationBundle(signRevocations(t, p), revocationRing(t, ""), vectorNow)
		if CodeOf(err) != CodeRevocationFailed || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: read as %v, want %q", c.name, err, c.words)
		}
		if _, err := p.Canonical(); CodeOf(err) != CodeRevocationFailed || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: written as %v, want %q", c.name, err, c.words)
		}
	}
}

func TestBundlesThatCannotBeWrittenAreRefused(t *testing.T) {
	t.Parallel()
	zone, half := time.FixedZone("", 3600), time.Second/2
	for name, c := range map[string]struct {
		edit  func(*RevocationPayload)
		words string
	}{
		"issued_at in a zone":         {func(p *RevocationPayload) { p.IssuedAt = p.IssuedAt.In(zone) }, "a time of"},
		"not_before in a zone":        {func(p *RevocationPayload) { p.NotBefore = p.NotBefore.In(zone) }, "a time of"},
		"expires_at in a zone":        {func(p *RevocationPayload) { p.ExpiresAt = p.ExpiresAt.In(zone) }, "a time of"},
		"half a second":               {func(p *RevocationPayload) { p.Entries[0].EffectiveAt = vectorNow.Add(half) }, "a time of"},
		"half a second at the end":    {func(p *RevocationPayload) { p.Entries[2].EffectiveAt = vectorNow.Add(half) }, "a time of"},
		"invalid text in the reason":  {func(p *RevocationPayload) { p.Entries[1].Reason = "\xff" }, "a text of"},
		"invalid text in the set":     {func(p *RevocationPayload) { p.RevocationSetID = "\xff" }, "a text of"},
		"invalid text in the key":     {func(p *RevocationPayload) { p.KeyID = "\xff" }, "a text of"},
		"invalid text in the license": {func(p *RevocationPayload) { p.Entries[0].LicenseID = "\xff" }, "a text of"},
		"invalid text in the next":    {func(p *RevocationPayload) { p.Entries[0].SupersededBy = "\xff" }, "a text of"},
		"no key":                      {func(p *RevocationPayload) { p.KeyID = "" }, "must not be empty"},
		"epoch of 2^53":               {func(p *RevocationPayload) { p.RevocationEpoch = maxNumber }, "revocation_epoch"},
		"too many entries":            {func(p *RevocationPayload) { p.Entries = make([]RevocationEntry, MaxRevocations+1) }, "entries"},
		"too much to write":           {func(p *RevocationPayload) { p.Entries = manyRevocations(80_000, strings.Repeat("<", 100)) }, "larger than"},
	} {
		p := revocationPayload()
		c.edit(&p)
		if _, err := p.Canonical(); CodeOf(err) != CodeRevocationFailed || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
	}
	large := revocationPayload() // what is signed fits, the file around it does not
	w := writer{}
	one := manyRevocations(1, "x")[0]
	one.write(&w)
	fill := MaxRevocationFileSize/MaxRevocations - len(w.buf) - 1 // and a comma
	large.Entries = manyRevocations(MaxRevocations, strings.Repeat("x", fill))
	canonical, err := large.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if room := MaxRevocationFileSize - len(canonical); room < 0 || room > 400_000 {
		t.Fatalf("%d bytes of room: the case does not fit any more", room)
	}
	if _, err := EncodeRevocationBundle(large, make([]byte, 64)); CodeOf(err) != CodeRevocationFailed || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file that is too large: %v", err)
	}
	if _, err := EncodeRevocationBundle(revocationPayload(), make([]byte, 63)); err == nil {
		t.Error("a signature of 63 bytes is written")
	}
	if _, err := EncodeRevocationBundle(RevocationPayload{}, make([]byte, 64)); err == nil {
		t.Error("an empty payload is written")
	}
}

func TestBundlesThatWereChangedOrWrittenLooselyAreRefused(t *testing.T) {
	t.Parallel()
	good := string(encodeRevocations(t, revocationPayload()))
	cases := []struct{ name, old, new, words string }{
		{"reason changed", "refunded", "other", "does not match"},
		{"epoch raised", `"revocation_epoch": 7`, `"revocation_epoch": 8`, "does not match"},
		{"entries swapped", `"license_id":"lic_a"`, `"license_id":"lic_z"`, "does not match"},
		{"another algorithm", `"algorithm": "ed25519"`, `"algorithm": "ed448"`, "algorithm"},
		{"another key ID", `"key_id": "rev-1",` + "\n    \"value", `"key_id": "rev-2",` + "\n    \"value", "is not the signature's"},
		{"duplicate name", `"lic_a",`, `"lic_a","license_id":"lic_a",`, "duplicate name"},
		{"name in another case", `"license_id":"lic_a"`, `"License_ID":"lic_a"`, "unknown name"},
		{"unknown name", `"revocation_set_id"`, `"set"`, "unknown name"},
		{"unknown name in the envelope", `"signature": {`, `"v": 1, "signature": {`, "unknown name"},
		{"no effective_at", `"effective_at":"2026-12-01T00:00:00Z",`, ``, "must hold"},
		{"no epoch", `"revocation_epoch": 7,`, ``, "lacks a required name"},
		{"null", `"refunded"`, `null`, "null"},
		{"negative epoch", `"revocation_epoch": 7`, `"revocation_epoch": -7`, "negative"},
		{"signature missing", `"signature": {`, `"payload": {`, "unknown name"},
	}
	for _, c := range cases {
		if strings.Count(good, c.old) != 1 {
			t.Fatalf("%s: %q is there %d times", c.name, c.old, strings.Count(good, c.old))
		}
		_, err := ReadRevocationBundle([]byte(strings.Replace(good, c.old, c.new, 1)), revocationRing(t, ""), vectorNow)
		if CodeOf(err) != CodeRevocationFailed || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", c.name, err, c.words)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "a byte-order mark": byteOrderMark + good, "a tail": good + "x", "only a payload": good[:strings.Index(good, `"signature"`)] + `"signature":{}}`,
		"a license": string(readVector(t, "accept-eval.json")), "an empty object": "{}",
		"too large": good + strings.Repeat(" ", MaxRevocationFileSize),
	} {
		if _, err := ReadRevocationBundle([]byte(text), revocationRing(t, ""), vectorNow); CodeOf(err) != CodeRevocationFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := 0; i < len(good)-2; i += 7 {
		if _, err := parseRevocationEnvelope(good[:i]); err == nil {
			t.Errorf("the first %d bytes are accepted", i)
		}
	}
}

// Escapes make six bytes of one, so a file that may be read could be more than may be signed.
func TestFileWhoseSignedFormIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	p := revocationPayload()
	p.Entries = manyRevocations(50_000, strings.Repeat("<", 150))
	w := writer{}
	p.encode(&w)
	text := strings.ReplaceAll(string(w.buf), `\u003c`, "<")
	file := `{"payload":` + text + `,"signature":{"algorithm":"ed25519","key_id":"rev-1","value_base64":"` + strings.Repeat("A", 86) + `=="}}`
	if _, err := ReadRevocationBundle([]byte(file), revocationRing(t, ""), vectorNow); CodeOf(err) != CodeRevocationFailed ||
		!strings.Contains(err.Error(), "what is signed is larger") {
		t.Errorf("%v", err)
	}
}

func TestKeysOfAnotherRoleDoNotRevoke(t *testing.T) {
	t.Parallel()
	file := encodeRevocations(t, revocationPayload())
	for role, good := range map[string]bool{"": true, RoleRevocation: true, RoleLicense: false} {
		if _, err := ReadRevocationBundle(file, revocationRing(t, role), vectorNow); (err == nil) != good {
			t.Errorf("role %q: %v", role, err)
		}
	}
	if _, err := ReadRevocationBundle(file, vectorRing(t), vectorNow); CodeOf(err) != CodeRevocationFailed {
		t.Errorf("unknown key: %v", err)
	}
	if _, err := ReadRevocationBundle(file, nil, vectorNow); CodeOf(err) != CodeRevocationFailed {
		t.Errorf("no ring: %v", err)
	}
}

func manyRevocations(n int, reason string) []RevocationEntry {
	list := make([]RevocationEntry, n)
	for i := range list { // not in the order of the IDs
		list[i] = RevocationEntry{LicenseID: fmt.Sprintf("lic_credit_pack_5m_20261201_%016x", uint64(i)*0x9e3779b97f4a7c15),
			Status: StatusRevoked, Reason: reason, EffectiveAt: vectorNow}
	}
	return list
}

// A bundle of 100,000 entries loads in less than 2 s of processor time (of all cores, since the time on the wall is as
// much of what else runs) and allocates less than 64 MB in all, garbage included. Not parallel, since the time and
// memory of other tests would count.
func TestLargeBundlesLoadInBoundedTimeAndMemory(t *testing.T) {
	p := revocationPayload()
	p.Entries = manyRevocations(100_000, "the payment was refunded in full")
	path := filepath.Join(t.TempDir(), "revocations.json")
	if err := os.WriteFile(path, encodeRevocations(t, p), 0o600); err != nil {
		t.Fatal(err)
	}
	ring := revocationRing(t, "")
	b, took, allocated := measuredLoad(t, path, ring)
	for range 2 { // the best of three, since even so another program costs cache lines
		_, again, _ := measuredLoad(t, path, ring)
		took = min(took, again)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries, %.1f MB file: %v, %.1f MB allocated", b.Len(), float64(info.Size())/1e6, took, float64(allocated)/1e6)
	if took > 2*time.Second || allocated > 64<<20 {
		t.Errorf("took %v and %d bytes", took, allocated)
	}
	for i := 0; i < len(p.Entries); i += 997 {
		if got, found := b.Lookup(p.Entries[i].LicenseID); !found || got != p.Entries[i] {
			t.Fatalf("entry %d: %+v %v", i, got, found)
		}
	}
}

func measuredLoad(t *testing.T, path string, ring *KeyRing) (b *RevocationBundle, took time.Duration, allocated uint64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := processorTime(t)
	b, err := LoadRevocationBundle(path, ring, vectorNow)
	took = processorTime(t) - start
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	return b, took, after.TotalAlloc - before.TotalAlloc
}

func TestTooManyEntriesAreRefusedWhileReading(t *testing.T) {
	t.Parallel()
	p := revocationPayload()
	p.Entries = make([]RevocationEntry, MaxRevocations+1)
	w := writer{}
	p.encode(&w)
	if _, err := parseRevocationEnvelope(`{"payload":` + string(w.buf)); err == nil || !strings.Contains(err.Error(), "more than 200000 entries") {
		t.Errorf("%v", err)
	}
}

func TestRevocationBundlesAreReadFromFiles(t *testing.T) {
	t.Parallel()
	dir, ring := t.TempDir(), revocationRing(t, "")
	path := filepath.Join(dir, "revocations.json")
	if _, err := LoadRevocationBundle(path, ring, vectorNow); CodeOf(err) != CodeRevocationMissing {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(path, encodeRevocations(t, revocationPayload()), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := LoadRevocationBundle(path, ring, vectorNow); err != nil || b.Len() != 3 {
		t.Errorf("%v", err)
	}
	if _, err := LoadRevocationBundle(dir, ring, vectorNow); CodeOf(err) != CodeRevocationFailed || strings.Contains(err.Error(), dir) {
		t.Errorf("a folder: %v", err)
	}
}

package license

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
)

// These tests stand at the edges that mutation testing found open; MUTATIONS.md lists what else survives, and why.

// Each text is a whole file, or what is left of one; the reason says where and why reading stopped.
func TestReaderSaysWhereItStopped(t *testing.T) {
	t.Parallel()
	good := string(readVector(t, "accept-credit-pack.json"))
	for text, want := range map[string]string{
		"x":                                   "expected an object (byte 1)",
		"":                                    "the file is cut short (byte 1)",
		"\uFEFF":                              "byte-order mark",
		"\uFEFF" + good:                       "byte-order mark",
		`[]`:                                  "expected an object (byte 1)",
		`{ "a": 1}`:                           "unknown name, or one spelled in another case (byte 3)",
		`{"payload": {}}`:                     "the payload lacks a required name",
		`{"payload": []}`:                     "expected an object (byte 13)",
		`{"payload": {"sku": ""`:              "the object is cut short or lacks a comma (byte 23)",
		`{"payload": {"features"`:             "a name must be followed by a colon (byte 24)",
		`{"payload": {"features":"routing"}}`: "expected a list (byte 25)",
		`{"payload": {"features":[`:           "the file is cut short (byte 26)",
		`{"payload": {"features":["routing"`:  "the list is cut short or lacks a comma (byte 35)",
		`{"payload": {"features":["a" "b"]}}`: "the list is cut short or lacks a comma (byte 30)",
		`{"payload": {"sku":"a", "x":1}}`:     "unknown name, or one spelled in another case (byte 25)",
		`{"payload": {"sku":"a", "sku":"a"}}`: "duplicate name (byte 25)",
		`{"abc`:                               "the file is cut short inside a string (byte 6)",
		`{"a\n`:                               "the file is cut short inside a string (byte 6)",
		`{"\`:                                 "the file is cut short inside a string (byte 3)",
		`{"\x`:                                "unknown escape in a string (byte 3)",
		`{"\u12`:                              "a \\u escape needs four hexadecimal digits (byte 3)",
		`{"\u004`:                             "a \\u escape needs four hexadecimal digits (byte 3)",
		`{"\u0041`:                            "the file is cut short inside a string (byte 9)",
		`{"\u00:0"`:                           "a \\u escape needs four hexadecimal digits (byte 3)",
		`{"\u00G0"`:                           "a \\u escape needs four hexadecimal digits (byte 3)",
		`{"\u00@0"`:                           "a \\u escape needs four hexadecimal digits (byte 3)",
		`{"\ud83d`:                            "lone surrogate in a string (byte 9)",
		`{"\ud83d\u`:                          "lone surrogate in a string (byte 9)",
		`{"\ud83d\udd1`:                       "lone surrogate in a string (byte 9)",
		`{"\ud83dxudd12"`:                     "lone surrogate in a string (byte 9)",
		`{"\ud83d\xdd12"`:                     "lone surrogate in a string (byte 9)",
		`{"payload": {"schema_version": -1`:   "negative number (byte 32)",
		`{"payload": {"schema_version": 00`:   "number with a leading zero (byte 34)",
		`{"payload": {"schema_version": 1d`:   "the object is cut short or lacks a comma (byte 33)",
		`{"payload": {"schema_version": 1:`:   "the object is cut short or lacks a comma (byte 33)",
		good + "x":                            "something follows the JSON object",
		strings.Replace(good, `"sku": "credit-pack-5m",`, "", 1):       "the payload lacks a required name",
		strings.Replace(good, `"schema_version": 1,`, "", 1):           "the payload lacks a required name",
		strings.Replace(good, `"algorithm": "ed25519",`, "", 1):        "the signature must hold algorithm, key_id and value_base64",
		strings.Replace(good, `"cust_7QK2M9"`, "\"\x80\"", 1):          "invalid UTF-8",
		strings.Replace(good, `"cust_7QK2M9"`, "\"\xff\xff\"", 1):      "invalid UTF-8",
		strings.Replace(good, `"cust_7QK2M9"`, "\"\\u0041\x80\"", 1):   "invalid UTF-8",
		strings.Replace(good, `2027-11-01T00:00:00Z`, "202:-11-01", 1): "RFC 3339",
		strings.Replace(good, `2027-11-01T00:00:00Z`, `\u0032027`, 1):  "RFC 3339",
	} {
		if _, err := Read([]byte(text), vectorRing(t), vectorNow); CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func TestSignatureThatIsNoSignatureIsCalledSo(t *testing.T) {
	t.Parallel()
	value := "twaFSU3ll0D0HVlzva/MArltwaIIkaxTrpOtwQXPjSFd/2vKCcptHFBlVbSLJm7QqmbqyccVU5diwW4kCaCQBA=="
	for _, other := range []string{"", "AAAA", strings.TrimRight(value, "="), value[:84] + "CaA=", "AAAA" + value,
		value[:43] + `\n` + value[44:], value[:86] + `\n\n`, strings.Replace(value, "BA==", "BB==", 1), strings.Replace(value, "/", "_", 1)} {
		_, err := Read([]byte(edited(t, value, other)), vectorRing(t), vectorNow)
		if CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), "not the canonical padded base64") {
			t.Errorf("%q: %v", other, err)
		}
	}
}

// Where two key IDs name one key, only this rule tells which of them a license was issued under.
func TestPayloadNamesTheKeyThatSigned(t *testing.T) {
	t.Parallel()
	public := vectorSigner(t).Public().(ed25519.PublicKey)
	ring, err := NewKeyRing(Key{ID: "test-ed25519-2026-01", Public: public}, Key{ID: "other", Public: public})
	if err != nil {
		t.Fatal(err)
	}
	good := string(readVector(t, "accept-credit-pack.json"))
	i := strings.LastIndex(good, "test-ed25519-2026-01")
	moved := good[:i] + "other" + good[i+len("test-ed25519-2026-01"):]
	if _, err := Read([]byte(moved), ring, vectorNow); err == nil || !strings.Contains(err.Error(), "the payload's key_id is not the signature's") {
		t.Errorf("%v, want a refusal", err)
	}
}

func TestPairsOfSurrogatesAreOneCharacter(t *testing.T) {
	t.Parallel()
	good := string(readVector(t, "accept-html-and-unicode.json"))
	for _, spelling := range []string{`\ud83d\udd12`, `\uD83D\uDD12`} {
		text := strings.Replace(good, "🔒", spelling, 1)
		if text == good {
			t.Fatal("the vector has no such character")
		}
		if _, err := Read([]byte(text), vectorRing(t), vectorNow); err != nil {
			t.Errorf("%s: %v", spelling, err)
		}
	}
	s := &scanner{text: `"\u004A\u00Ff\u0aA9"`}
	if got := s.string(); s.err != nil || got != "J\u00ff\u0aa9" {
		t.Errorf("%q %v", got, s.err)
	}
}

func TestFlagsEndWithTheText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"true": true, "false": false} {
		s := &scanner{text: text}
		if got := s.boolean(); got != want || s.err != nil || s.pos != len(text) {
			t.Errorf("%s: %v %v at %d", text, got, s.err, s.pos)
		}
	}
	for _, text := range []string{"", "tru", "fals", "t", "trux", "falsx"} {
		s := &scanner{text: text}
		if s.boolean(); s.err == nil {
			t.Errorf("%q is a flag", text)
		}
	}
}

// A file may be as large as the bound says, and not a byte larger.
func TestLargestFileIsWrittenAndRead(t *testing.T) {
	t.Parallel()
	p := vectorPayload(t)
	fill := func(n int) ([]byte, error) {
		p.Notes = strings.Repeat("n", n)
		canonical, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		return Encode(p, ed25519.Sign(vectorSigner(t), canonical))
	}
	file, err := fill(1)
	if err != nil {
		t.Fatal(err)
	}
	most := MaxFileSize - len(file) + 1
	if file, err = fill(most); err != nil || len(file) != MaxFileSize {
		t.Fatalf("%d bytes, %v", len(file), err)
	}
	if _, err := Read(file, vectorRing(t), vectorNow); err != nil {
		t.Error(err)
	}
	if _, err := fill(most + 1); CodeOf(err) != CodeInvalid || err == nil {
		t.Errorf("a byte more: %v", err)
	}
	if _, err := Read(append(file, '\n'), vectorRing(t), vectorNow); CodeOf(err) != CodeInvalid || err == nil {
		t.Errorf("a line break more: %v", err)
	}
}

func TestTimesOfNoClockAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"202:-01-01T00:00:00Z", "2026-0:-01T00:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:60:00Z",
		"2026-01-01T24:00:00Z", "2026-13-01T00:00:00Z", "2026-06-31T00:00:00Z", "2026-01-00T00:00:00Z"} {
		if at, ok := parseTime(text); ok {
			t.Errorf("%s is %v", text, at)
		}
	}
}

// One entry in any of the lists binds a license.
func TestOneListedInstanceBinds(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Payload){
		"raw":    func(p *Payload) { p.Deployment.AllowedInstances = []string{"fp:a"} },
		"hashed": func(p *Payload) { p.Deployment.AllowedInstanceFingerprints = []string{p.InstanceHash("fp:a")} },
		"single": func(p *Payload) { p.Deployment.InstanceFingerprint = "fp:a" },
	} {
		p := vectorPayload(t)
		p.Deployment = Deployment{}
		edit(&p)
		if err := p.checkInstance("fp:a"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, other := range []string{"", "fp:b"} {
			if err := p.checkInstance(other); err == nil || err.Code != CodeInstanceLimit {
				t.Errorf("%s: %q: %v, want a refusal", name, other, err)
			}
		}
	}
}

func TestNumbersOfAPayloadStopBelow2To53(t *testing.T) {
	t.Parallel()
	for n, fits := range map[int64]bool{maxNumber - 1: true, maxNumber: false, -1: false} {
		for name, edit := range map[string]func(*Payload){
			"offline instances": func(p *Payload) { p.Deployment.MaxOfflineInstances = n },
			"tokens":            func(p *Payload) { p.Limits.MaxTotalTokens = n },
		} {
			p := vectorPayload(t)
			edit(&p)
			if _, err := p.Canonical(); (err == nil) != fits {
				t.Errorf("%s %d: %v", name, n, err)
			}
		}
	}
}

func TestCountsAreWrittenInDecimal(t *testing.T) {
	t.Parallel()
	p := vectorPayload(t)
	p.Limits.MaxInstances = 12
	p.Deployment.AllowedInstances = strings.Split(strings.Repeat("fp ", 34)+"fp", " ")
	if err := p.check(); err == nil || err.Reason != "the license lists 35 instances and allows 12" {
		t.Errorf("%v", err)
	}
}

// The bounds are promises to whoever writes key ring files.
func TestKeyRingBoundsAreWhatTheyAre(t *testing.T) {
	t.Parallel()
	if MaxKeyRingSize != 65536 || MaxKeys != 256 || maxKeyIDLength != 128 || MaxFileSize != 65536 {
		t.Error("a bound of the format changed")
	}
	longest := strings.Repeat("k", 128)
	ring, err := NewKeyRing(Key{ID: longest, Public: testKey(1)})
	if err != nil {
		t.Fatalf("the longest ID: %v", err)
	}
	data, err := ring.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(data); !strings.HasPrefix(text, "{\n  \"keys\": [\n") || strings.Contains(text, "not_") {
		t.Errorf("a key without times is written as %s", text)
	}
	padded := append(data, bytes.Repeat([]byte(" "), 65536-len(data))...)
	if _, err := ParseKeyRing(padded); err != nil {
		t.Errorf("a file of the largest size: %v", err)
	}
	if _, err := ParseKeyRing(append(padded, ' ')); err == nil {
		t.Error("a file above the largest size is read")
	}
	if shownID(longest) != `"`+longest+`"` || shownID(longest+"k") != "(an ID of 129 bytes)" || shownID("a\u00e9\n") != `"a\u00e9\n"` {
		t.Error("an ID is shown in another way")
	}
}

// A message names the key that is wrong, and what is wrong with it first.
func TestKeyRingErrorsNameTheKey(t *testing.T) {
	t.Parallel()
	good := Key{ID: "a", Public: testKey(1)}
	point := func(first byte, rest byte, last byte) ed25519.PublicKey {
		p := bytes.Repeat([]byte{rest}, ed25519.PublicKeySize)
		p[0], p[31] = first, last
		return p
	}
	for want, second := range map[string]Key{
		"key 2: key_id must be text of 1 to 128 bytes":                {ID: strings.Repeat("k", 129), Public: testKey(2)},
		"key 2: key_id must be text of 1 to 128 byte":                 {ID: "\xff", Public: testKey(2)},
		`key 2: the key_id "a" is there twice`:                        {ID: "a", Public: testKey(2)},
		"key 2: the public key is not in its canonical spelling":      {ID: "b", Public: point(0xed, 0xff, 0x7f)},
		"key 2: the public key has small order: anyone could sign fo": {ID: "b", Public: point(1, 0, 0)},
	} {
		if _, err := NewKeyRing(good, second); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for text, want := range map[string]string{
		`{}`:                     "key ring: the file has no keys",
		`{"keys": []}`:           "key ring: it holds no keys",
		`{"keys": [{}]}`:         "a key must hold key_id, algorithm and public_key_base64",
		`{"keys": [{"key_id":""`: "cut short",
		`{"version": 1}`:         "unknown name",
		`{"keys": [{"x": 1}]}`:   "unknown name",
		`{"keys": [{"algorithm":"ed25519","public_key_base64":"` + base64.StdEncoding.EncodeToString(testKey(1)) + `"}]}`:                        "a key must hold key_id",
		`{"keys": [{"key_id":"k","algorithm":"ed25519","public_key_base64":"` + base64.StdEncoding.EncodeToString(testKey(1)) + `","role":""}]}`: "role must not be empty",
	} {
		if _, err := ParseKeyRing([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

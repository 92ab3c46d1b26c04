package license

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Each case is a valid file with one edit that changes how it is written. The signature would still fit wherever the
// edit keeps the meaning, so only the reader's strictness can refuse it.
func TestFilesWrittenLooselyAreRefused(t *testing.T) {
	t.Parallel()
	ring := vectorRing(t)
	cases := []struct {
		name, old, new, reason string
	}{
		{"duplicate name in an object below", `"max_admins": 5,`, `"max_admins": 5, "max_admins": 5,`, "duplicate name"},
		{"duplicate name in the signature", `"algorithm": "ed25519",`, `"algorithm": "ed25519", "algorithm": "ed25519",`, "duplicate name"},
		{"duplicate name by an escape", `"sku": "credit-pack-5m",`, `"sku": "credit-pack-5m", "s\u006bu": "credit-pack-5m",`, "duplicate name"},
		{"duplicate payload", `"signature": {`, `"payload": {}, "signature": {`, "lacks a required name"},
		{"name in another case", `"max_admins"`, `"MAX_ADMINS"`, "unknown name"},
		{"name in another case beside the right one", `"max_admins": 5,`, `"max_admins": 5, "Max_admins": 5,`, "unknown name"},
		{"name with the long s, which folds to s", `"sku"`, `"ſku"`, "unknown name"},
		{"name with the Kelvin sign, which folds to k", `"sku"`, "\"s\u212au\"", "unknown name"},
		{"unknown name in limits", `"max_admins": 5`, `"max_admin": 5`, "unknown name"},
		{"unknown name in deployment", `"mode"`, `"modes"`, "unknown name"},
		{"unknown name in the signature", `"algorithm"`, `"alg"`, "unknown name"},
		{"unknown name in the envelope", `"signature": {`, `"v": 1, "signature": {`, "unknown name"},
		{"empty name", `"mode"`, `""`, "unknown name"},
		{"number with a fraction", `5000000`, `5000000.0`, "without fraction or exponent"},
		{"number with an exponent", `5000000`, `5e6`, "without fraction or exponent"},
		{"number with a capital exponent", `5000000`, `5E6`, "without fraction or exponent"},
		{"number with a leading zero", `5000000`, `05000000`, "leading zero"},
		{"number with a plus", `5000000`, `+5000000`, "expected a plain integer"},
		{"negative number", `5000000`, `-5000000`, "negative"},
		{"negative zero", `5000000`, `-0`, "negative"},
		{"number of 2^53", `5000000`, `9007199254740992`, "2^53"},
		{"number that overflows int64", `5000000`, `99999999999999999999999999`, "2^53"},
		{"number as a string", `5000000`, `"5000000"`, "expected a plain integer"},
		{"number cut off", `5000000`, ``, "expected a plain integer"},
		{"hexadecimal number", `5000000`, `0x5`, "comma"},
		{"null for a number", `5000000`, `null`, "null is not allowed"},
		{"null for a string", `"cust_7QK2M9"`, `null`, "null is not allowed"},
		{"null for a list", `"allowed_instances": [`, `"allowed_environments": null, "allowed_instances": [`, "null is not allowed"},
		{"null for a flag", `"instance_fingerprint_required": true`, `"instance_fingerprint_required": null`, "null is not allowed"},
		{"null for a time", `"0001-01-01T00:00:00Z"`, `null`, "null is not allowed"},
		{"null in a list", `"usage_reporting"`, `null`, "null is not allowed"},
		{"flag as a number", `"instance_fingerprint_required": true`, `"instance_fingerprint_required": 1`, "true or false"},
		{"flag in capitals", `"instance_fingerprint_required": true`, `"instance_fingerprint_required": True`, "true or false"},
		{"flag with a tail", `"instance_fingerprint_required": true`, `"instance_fingerprint_required": trueish`, "comma"},
		{"list for a string", `"cust_7QK2M9"`, `["cust_7QK2M9"]`, "expected a string"},
		{"object for a string", `"cust_7QK2M9"`, `{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{}}}}}}}}}`, "expected a string"},
		{"deep nesting for a name", `"mode"`, `"x": [[[[[[[[[[[[]]]]]]]]]]]], "mode"`, "unknown name"},
		{"string for a list", `"usage_reporting"`, `["usage_reporting"]`, "expected a string"},
		{"comma after the last element", `"usage_reporting"`, `"usage_reporting",`, "expected a string"},
		{"comma after the last member", `"max_instances": 1`, `"max_instances": 1,`, "expected a string"},
		{"two commas", `"max_admins": 5,`, `"max_admins": 5,,`, "expected a string"},
		{"comma missing", `"max_admins": 5,`, `"max_admins": 5`, "lacks a comma"},
		{"colon missing", `"max_admins": 5`, `"max_admins" 5`, "colon"},
		{"comment", `"max_admins": 5`, `/* five */ "max_admins": 5`, "expected a string"},
		{"single quotes", `"cust_7QK2M9"`, `'cust_7QK2M9'`, "expected a string"},
		{"form feed as white space", `"max_admins": 5`, "\f\"max_admins\": 5", "expected a string"},
		{"no-break space as white space", `"max_admins": 5`, "\u00a0\"max_admins\": 5", "expected a string"},
		{"byte-order mark inside", `"max_admins": 5`, "\uFEFF\"max_admins\": 5", "expected a string"},
		{"control character in a string", `cust_7QK2M9`, "cust\n7QK2M9", "control character"},
		{"control character after an escape", `cust_7QK2M9`, "cust\\u005f7QK2M9\n", "control character"},
		{"invalid UTF-8", `cust_7QK2M9`, "cust\xff", "invalid UTF-8"},
		{"invalid UTF-8 after an escape", `cust_7QK2M9`, "cust\\u005f\xc3", "invalid UTF-8"},
		{"overlong UTF-8", `cust_7QK2M9`, "cust\xc0\xaf", "invalid UTF-8"},
		{"surrogate in UTF-8", `cust_7QK2M9`, "cust\xed\xa0\x80", "invalid UTF-8"},
		{"lone high surrogate", `cust_7QK2M9`, `cust\ud83d`, "lone surrogate"},
		{"lone low surrogate", `cust_7QK2M9`, `cust\udd12`, "lone surrogate"},
		{"surrogates the wrong way round", `cust_7QK2M9`, `cust\udd12\ud83d`, "lone surrogate"},
		{"high surrogate before another escape", `cust_7QK2M9`, `cust\ud83d\u0041`, "lone surrogate"},
		{"lone surrogate in a name", `"mode"`, `"mo\ud83dde"`, "lone surrogate"},
		{"short escape", `cust_7QK2M9`, `cust\u12`, "four hexadecimal"},
		{"escape that is not hexadecimal", `cust_7QK2M9`, `cust\u12g4`, "four hexadecimal"},
		{"capital escape", `cust_7QK2M9`, `cust\U0041`, "unknown escape"},
		{"unknown escape", `cust_7QK2M9`, `cust\x41`, "unknown escape"},
		{"time with an offset", `"expires_at": "2027-11-01T00:00:00Z"`, `"expires_at": "2027-11-01T00:00:00+00:00"`, "RFC 3339"},
		{"time with a fraction", `"expires_at": "2027-11-01T00:00:00Z"`, `"expires_at": "2027-11-01T00:00:00.0Z"`, "RFC 3339"},
		{"time with a small t", `"expires_at": "2027-11-01T00:00:00Z"`, `"expires_at": "2027-11-01t00:00:00Z"`, "RFC 3339"},
		{"time with a small z", `"expires_at": "2027-11-01T00:00:00Z"`, `"expires_at": "2027-11-01T00:00:00z"`, "RFC 3339"},
		{"time with an escape, which encoding/json refuses", `"expires_at": "2027-11-01T00:00:00Z"`, `"expires_at": "2027-11-01T00:00:00\u005a"`, "RFC 3339"},
		{"time that no month has", `"expires_at": "2027-11-01T00:00:00Z"`, `"expires_at": "2027-11-31T00:00:00Z"`, "RFC 3339"},
		{"time as a number", `"expires_at": "2027-11-01T00:00:00Z"`, `"expires_at": 1825027200`, "expected a string"},
		{"required name missing", "\"sku\": \"credit-pack-5m\",\n", "", "required name"},
		{"signature's name missing", `"algorithm": "ed25519",`, "", "must hold algorithm"},
	}
	for _, c := range cases {
		_, err := Read([]byte(edited(t, c.old, c.new)), ring, vectorNow)
		switch {
		case err == nil:
			t.Errorf("%s: accepted", c.name)
		case CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), c.reason):
			t.Errorf("%s: %v, want license-invalid with %q", c.name, err, c.reason)
		}
	}
}

func TestWholeFilesThatAreNoLicenseAreRefused(t *testing.T) {
	t.Parallel()
	good := string(readVector(t, "accept-credit-pack.json"))
	cases := map[string]string{
		"nothing":                "",
		"white space":            " \n",
		"a list":                 "[" + good + "]",
		"a string":               `"license"`,
		"null":                   "null",
		"an empty object":        "{}",
		"only a payload":         `{"payload": {}}`,
		"a byte-order mark":      "\uFEFF" + good,
		"UTF-16":                 "\xff\xfe{\x00",
		"a second object":        good + "{}",
		"a byte after it":        good + "x",
		"a NUL after it":         good + "\x00",
		"a NUL before it":        "\x00" + good,
		"too large":              good + strings.Repeat(" ", MaxFileSize),
		"deep nesting":           strings.Repeat("[", MaxFileSize),
		"deep objects":           strings.Repeat(`{"payload":`, 5000),
		"an endless string":      `{"` + strings.Repeat("a", 60000),
		"an endless escape":      `{"` + strings.Repeat(`\u0041`, 10000),
		"a string cut in escape": `{"\`,
	}
	for i := range len(good) - 2 { // the last two bytes are the brace and a newline
		if _, err := parseEnvelope(good[:i]); err == nil {
			t.Errorf("the first %d bytes are accepted", i)
		}
	}
	for name, text := range cases {
		if _, err := Read([]byte(text), vectorRing(t), vectorNow); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: %v, want license-invalid", name, err)
		}
	}
	if _, err := Read([]byte(good+strings.Repeat(" ", MaxFileSize-len(good))), vectorRing(t), vectorNow); err != nil {
		t.Errorf("a file of the largest size: %v", err)
	}
}

// JSON's own freedoms that change no meaning stay: what was issued before the portal may use them.
func TestOtherSpellingsOfTheSameTextAreRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"escapes in a string":    edited(t, `cust_7QK2M9`, `\u0063ust\u005F7QK2M9`),
		"an escape in a name":    edited(t, `"mode"`, `"mod\u0065"`),
		"windows line ends":      strings.ReplaceAll(string(readVector(t, "accept-credit-pack.json")), "\n", "\r\n"),
		"no white space":         compact(t, readVector(t, "accept-credit-pack.json")),
		"an escaped slash":       edited(t, `"twaFSU3ll0D0HVlzva/`, `"twaFSU3ll0D0HVlzva\/`),
		"false for absent":       unbound(t),
		"empty optional members": edited(t, `"max_instances": 1`, `"max_instances": 1, "allowed_skins": []`),
	} {
		if _, err := Read([]byte(text), vectorRing(t), vectorNow); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unbound is accept-no-limits.json with a flag that is written and not set.
func unbound(tb testing.TB) string {
	return strings.Replace(string(readVector(tb, "accept-no-limits.json")), `"deployment": {}`,
		`"deployment": {"instance_fingerprint_required": false}`, 1)
}

func compact(tb testing.TB, data []byte) string {
	tb.Helper()
	var value json.RawMessage = data
	out, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func TestSignatureHasOneSpelling(t *testing.T) {
	t.Parallel()
	value := "twaFSU3ll0D0HVlzva/MArltwaIIkaxTrpOtwQXPjSFd/2vKCcptHFBlVbSLJm7QqmbqyccVU5diwW4kCaCQBA=="
	for name, other := range map[string]string{
		"no padding":                strings.TrimRight(value, "="),
		"one padding sign":          strings.TrimSuffix(value, "="),
		"bits after the last byte":  strings.Replace(value, "BA==", "BB==", 1),
		"URL alphabet":              strings.ReplaceAll(value, "/", "_"),
		"line break inside":         value[:44] + `\n` + value[44:],
		"line break instead":        value[:43] + `\n` + value[44:],
		"space before":              " " + value,
		"a byte less":               value[:84] + "CaA=",
		"three bytes more":          "AAAA" + value,
		"empty":                     "",
		"much too long":             strings.Repeat("AAAA", 1000),
		"S plus the group's order":  "twaFSU3ll0D0HVlzva/MArltwaIIkaxTrpOtwQXPjSFd/2vKCcptHFBlVbSLJm7QqmbqyccVU5diwW4kCaCQFA==",
		"all zero":                  strings.Repeat("A", 86) + "==",
		"one bit of the R part off": "u" + value[1:],
	} {
		if _, err := Read([]byte(edited(t, value, other)), vectorRing(t), vectorNow); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: %v, want license-invalid", name, err)
		}
	}
}

func TestTimesAgreeWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2028-02-29T23:59:59Z", "2027-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
		"2000-02-29T00:00:00Z", "2038-01-19T03:14:08Z", "9999-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-06-31T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-12-31T23:59:60Z", "2026-01-01 00:00:00Z", "2026/01/01T00:00:00Z", "2026-01-01T00:00:0Z", "2026-01-01T00:00:00", "",
		"2026-01-01T00:00:00+", "+026-01-01T00:00:00Z", "2O26-01-01T00:00:00Z", "2026-01-01T00-00:00Z",
	} {
		got, ok := parseTime(text)
		want, err := time.Parse(time.RFC3339, text)
		if ok != (err == nil) || ok && got != want {
			t.Errorf("%q: %v %v, the standard library %v %v", text, got, ok, want, err)
		}
		if ok && string(appendTime(nil, got)) != `"`+text+`"` {
			t.Errorf("%q is written as %s", text, appendTime(nil, got))
		}
	}
	if _, ok := parseTime("0000-01-01T00:00:00Z"); ok {
		t.Error("the year 0 is accepted")
	}
}

func TestStringsAreWrittenAsTheStandardLibraryDoes(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for r := rune(0); r < 0x3000; r++ {
		text.WriteRune(r)
	}
	text.WriteString("\uFFFD\uFFFF🔒\U0010FFFF<script>&amp;</script>")
	want, err := json.Marshal(text.String())
	if err != nil {
		t.Fatal(err)
	}
	if got := appendString(nil, text.String()); string(got) != string(want) {
		t.Errorf("written differently:\n%s\n%s", got, want)
	}
	s := &scanner{text: string(want)}
	if got := s.string(); s.err != nil || got != text.String() {
		t.Errorf("does not read back: %v", s.err)
	}
}

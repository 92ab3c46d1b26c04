package checker

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/metrum-ai/licensing-portal/license"
)

const vectors = "../../../license/testdata/vectors"

var now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

func vector(tb testing.TB, name string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

type index struct {
	Keys  []map[string]string
	Cases []struct{ File, Now, Verdict string }
}

func readIndex(tb testing.TB) (i index) {
	tb.Helper()
	if err := json.Unmarshal([]byte(vector(tb, "index.json")), &i); err != nil {
		tb.Fatal(err)
	}
	return i
}

// ring is the vectors' key ring file, without their seed.
func ring(tb testing.TB) []byte {
	tb.Helper()
	keys := readIndex(tb).Keys
	for _, key := range keys {
		delete(key, "seed_hex")
	}
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestVectorsHaveTheirCode(t *testing.T) {
	t.Parallel()
	keys := ring(t)
	for _, c := range readIndex(t).Cases {
		at, err := time.Parse(time.RFC3339, c.Now)
		if err != nil {
			t.Fatal(err)
		}
		got := Check([]byte(vector(t, c.File)), keys, at)
		want := c.Verdict
		if want == "accept" {
			want = string(license.CodeValid)
		}
		if string(got.Code) != want || (got.Verdict == Good) != (c.Verdict == "accept") {
			t.Errorf("%s: %s %s, want %s", c.File, got.Verdict, got.Code, want)
		}
		if dates := got.Code == license.CodeExpired || got.Code == license.CodeNotYetValid; dates != (got.Verdict == NotNow) {
			t.Errorf("%s: %s for %s", c.File, got.Verdict, got.Code)
		}
		if (got.Fields != nil) != (got.Verdict == Good || got.Verdict == NotNow || got.Verdict == Repairable) {
			t.Errorf("%s: %s with fields %v", c.File, got.Verdict, got.Fields)
		}
	}
}

func TestGoodFileShowsItsSafeFields(t *testing.T) {
	t.Parallel()
	want := Fields{LicenseID: "lic_credit_pack_5m_20261101_0a1b2c3d4e5f6071", SKU: "credit-pack-5m", KeyID: "test-ed25519-2026-01",
		NotBefore: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), ExpiresAt: time.Date(2027, 11, 1, 0, 0, 0, 0, time.UTC), Bound: true}
	got := Check([]byte(vector(t, "accept-credit-pack.json")), ring(t), now)
	if got.Fields == nil || *got.Fields != want || got.Verdict != Good || got.Hint != "" || got.Problem != "" {
		t.Errorf("%+v %+v", got, got.Fields)
	}
	if bound := Check([]byte(vector(t, "accept-eval.json")), ring(t), now).Fields.Bound; bound {
		t.Error("a license for any instance is said to be bound")
	}
}

func toUTF16(text string, order binary.ByteOrder, mark bool) string {
	var b bytes.Buffer
	if mark {
		text = "\uFEFF" + text
	}
	_ = binary.Write(&b, order, utf16.Encode([]rune(text)))
	return b.String()
}

func toQuotedPrintable(text string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// wrap breaks a text into lines of 72 characters, wherever that is.
func wrap(text, with string) string {
	return regexp.MustCompile(`.{72}`).ReplaceAllStringFunc(text, func(line string) string { return line + with })
}

// What happens to files on their way, and that each is recognized and comes back byte for byte or in meaning.
func TestMangledFilesAreRepaired(t *testing.T) {
	t.Parallel()
	keys := ring(t)
	for _, file := range []string{"accept-credit-pack.json", "accept-html-and-unicode.json", "accept-eval.json"} {
		good := vector(t, file)
		encoded, _ := json.Marshal(good)
		for name, c := range map[string]struct{ text, problem string }{
			"byte-order mark":        {"\uFEFF" + good, "byte-order-mark"},
			"UTF-16 of Windows":      {toUTF16(good, binary.LittleEndian, true), "utf-16"},
			"UTF-16, big-endian":     {toUTF16(good, binary.BigEndian, true), "utf-16"},
			"UTF-16 without mark":    {toUTF16(good, binary.LittleEndian, false), "utf-16"},
			"UTF-16, big, no mark":   {toUTF16(good, binary.BigEndian, false), "utf-16"},
			"base64":                 {base64.StdEncoding.EncodeToString([]byte(good)), "base64"},
			"base64 in lines":        {wrap(base64.StdEncoding.EncodeToString([]byte(good)), "\r\n"), "base64"},
			"quoted-printable":       {toQuotedPrintable(good), "quoted-printable"},
			"answered mail":          {"> " + strings.ReplaceAll(good, "\n", "\n> "), "mail-quote"},
			"page's source":          {html.EscapeString(good), "html-escaped"},
			"JSON in JSON":           {string(encoded), "json-in-string"},
			"typographic quotes":     {strings.ReplaceAll(good, `": `, "\u201d: "), "typography"},
			"hard spaces":            {strings.ReplaceAll(good, "  ", "\u00a0\u00a0"), "typography"},
			"code fence":             {"Here it is:\n```json\n" + good + "\n```\nBest", "surrounding-text"},
			"broken lines":           {wrap(good, "\r\n"), "wrapped"},
			"broken, indented lines": {wrap(good, "\n    "), "wrapped"},
			"a NUL at the end":       {good + "\x00", ""},
			"mark and broken lines":  {"\uFEFF" + wrap(good, "\n"), "byte-order-mark"},
		} {
			if c.text == good {
				continue // nothing in this file that it would change
			}
			got := Check([]byte(c.text), keys, now)
			if got.Verdict == Good && name == "broken lines" {
				continue // no line of this file was long enough
			}
			if got.Verdict != Repairable || got.Code != license.CodeInvalid || got.Fields == nil || got.Hint == "" {
				t.Errorf("%s, %s: %+v", file, name, got)
				continue
			}
			if c.problem != "" && got.Problem != c.problem {
				t.Errorf("%s, %s: problem %s, want %s", file, name, got.Problem, c.problem)
			}
			if after := Check([]byte(got.Repaired), keys, now); after.Verdict != Good || *after.Fields != *got.Fields {
				t.Errorf("%s, %s: repaired is %+v", file, name, after)
			}
		}
	}
}

// A break may have taken the place of a space of a name.
func TestBreakInsideANameIsRepaired(t *testing.T) {
	t.Parallel()
	good := vector(t, "accept-html-and-unicode.json")
	name := regexp.MustCompile(`"customer_name": "[^"]* [^"]*"`).FindString(good)
	if name == "" {
		t.Fatal("the vector has no name with a space")
	}
	broken := strings.Replace(good, name, name[:strings.LastIndex(name, " ")]+"\r\n"+name[strings.LastIndex(name, " ")+1:], 1)
	if got := Check([]byte(broken), ring(t), now); got.Verdict != Repairable || got.Problem != "wrapped" {
		t.Errorf("%+v", got)
	}
}

func TestWhiteSpaceOfEverySystemIsFine(t *testing.T) {
	t.Parallel()
	good := vector(t, "accept-credit-pack.json")
	for _, text := range []string{strings.ReplaceAll(good, "\n", "\r\n"), strings.ReplaceAll(good, "\n", "\r"), good + "\r\n\r\n", "  " + good} {
		if got := Check([]byte(text), ring(t), now); got.Verdict != Good {
			t.Errorf("%+v", got)
		}
	}
}

func TestWhatCannotBeRepairedIsNamed(t *testing.T) {
	t.Parallel()
	good := vector(t, "accept-credit-pack.json")
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(good))
	_ = w.Close()
	for name, c := range map[string]struct{ text, problem string }{
		"nothing":              {"", "empty"},
		"only lines":           {"\r\n\r\n", "empty"},
		"half":                 {good[:len(good)/2], "truncated"},
		"all but the end":      {strings.TrimSpace(good)[:len(strings.TrimSpace(good))-1], "truncated"},
		"half with a mark":     {"\uFEFF" + good[:len(good)/2], "truncated"},
		"an archive":           {"PK\x03\x04 and more", "zip"},
		"a receipt":            {"%PDF-1.7\n{", "pdf"},
		"gzip":                 {zipped.String(), "gzip"},
		"a screenshot":         {"\x89PNG\r\n", "image"},
		"a photo":              {"\xff\xd8\xff\xe0", "image"},
		"a private key":        {"-----BEGIN PRIVATE KEY-----\n", "pem"},
		"the page":             {"<!DOCTYPE html><html><style>a{}</style></html>", "html"},
		"words":                {"hello", "not-json"},
		"an edited file":       {strings.Replace(good, "5000000", "6000000", 1), "changed"},
		"edited and marked":    {"\uFEFF" + strings.Replace(good, "5000000", "6000000", 1), "byte-order-mark"},
		"the key ring":         {string(ring(t)), "key-ring"},
		"a revocation bundle":  {`{"payload":{"revocation_set_id":"r"},"signature":{}}`, "revocation-bundle"},
		"other JSON":           {`{"a":{"b":"}"}}`, "other-json"},
		"more than anyone has": {strings.Repeat("{", MaxFile+1), "too-large"},
	} {
		got := Check([]byte(c.text), ring(t), now)
		if got.Verdict != Refused || got.Problem != c.problem || got.Hint == "" || got.Fields != nil || got.Repaired != "" {
			t.Errorf("%s: %+v, want %s", name, got, c.problem)
		}
	}
}

// No repair may turn a file that says something else into a good one: every single byte of a file is changed, and
// what comes out says what was issued or is refused.
func TestRepairsNeverChangeTheMeaning(t *testing.T) {
	t.Parallel()
	good, keys := vector(t, "accept-credit-pack.json"), ring(t)
	want := *Check([]byte(good), keys, now).Fields
	for i := range len(good) {
		for _, c := range []byte{0, '"', '\n', '=', '>', good[i] ^ 1} {
			text := []byte(good)
			text[i] = c
			if got := Check(text, keys, now); got.Fields != nil && *got.Fields != want {
				t.Fatalf("byte %d as %q: %+v", i, c, got.Fields)
			}
		}
	}
}

func TestUnusableQuestionIsNoVerdict(t *testing.T) {
	t.Parallel()
	got := Check([]byte(vector(t, "accept-credit-pack.json")), []byte("{}"), now)
	if got.Verdict != Unable || !strings.HasPrefix(got.Reason, "key ring: ") {
		t.Errorf("%+v", got)
	}
	if got := WrongUse(); got.Verdict != Unable || got.Reason == "" {
		t.Errorf("%+v", got)
	}
}

func TestJSONSaysWhatTheResultHolds(t *testing.T) {
	t.Parallel()
	odd := "a\"b\\c\n\x00\u2028é\xff<&>"
	for _, r := range []Result{
		{Verdict: Refused, Code: license.CodeInvalid, Reason: odd, Problem: "p", Hint: odd, Repaired: odd},
		{Verdict: Good, Code: license.CodeValid, Fields: &Fields{LicenseID: odd, SKU: "s", KeyID: "k", NotBefore: now, ExpiresAt: now.Add(time.Second), Bound: true}},
	} {
		var got struct {
			Verdict, Code, Reason, Problem, Hint, Repaired string
			Fields                                         *struct {
				LicenseID string `json:"license_id"`
				SKU       string
				KeyID     string    `json:"key_id"`
				NotBefore time.Time `json:"not_before"`
				ExpiresAt time.Time `json:"expires_at"`
				Bound     bool
			}
		}
		if err := json.Unmarshal([]byte(r.JSON()), &got); err != nil {
			t.Fatalf("%v in %s", err, r.JSON())
		}
		valid := strings.ToValidUTF8(odd, "\uFFFD")
		if got.Verdict != string(r.Verdict) || got.Code != string(r.Code) || (r.Reason != "" && (got.Reason != valid || got.Hint != valid || got.Repaired != valid)) {
			t.Errorf("%+v from %s", got, r.JSON())
		}
		if (got.Fields == nil) != (r.Fields == nil) {
			t.Errorf("fields in %s", r.JSON())
		}
		if f := got.Fields; f != nil && fmt.Sprint(f.LicenseID, f.SKU, f.KeyID, f.NotBefore, f.ExpiresAt, f.Bound) !=
			fmt.Sprint(valid, r.Fields.SKU, r.Fields.KeyID, r.Fields.NotBefore, r.Fields.ExpiresAt, r.Fields.Bound) {
			t.Errorf("%+v from %s", f, r.JSON())
		}
	}
}

func FuzzCheckNeverPanicsAndIsJSON(f *testing.F) {
	keys := ring(f)
	for _, name := range []string{"accept-credit-pack.json", "reject-truncated.json", "reject-duplicate-key.json"} {
		text := vector(f, name)
		f.Add([]byte(text))
		f.Add([]byte("\uFEFF" + wrap(text, "\r\n")))
		f.Add([]byte(toQuotedPrintable(text)))
		f.Add([]byte(toUTF16(text, binary.LittleEndian, true)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		got := Check(file, keys, now)
		if !json.Valid([]byte(got.JSON())) {
			t.Fatalf("not JSON: %s", got.JSON())
		}
		if got.Verdict == Repairable && Check([]byte(got.Repaired), keys, now).Fields == nil {
			t.Fatal("a repaired file does not verify")
		}
	})
}

package account

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestOnlyThePortalsTokensOpen(t *testing.T) {
	t.Parallel()
	s := secrets{key: bytes.Repeat([]byte("k"), 32)}
	other := secrets{key: bytes.Repeat([]byte("o"), 32)}
	const id, id2 = "sgn_0123456789abcdefghjk", "sgn_0123456789abcdefghjm"
	good := s.token(id)
	if got, ok := s.open(good); !ok || got != id {
		t.Fatalf("own token: %q, %v", got, ok)
	}
	proof := strings.TrimPrefix(good, id+".")
	for name, token := range map[string]string{
		"empty": "", "ID alone": id, "no proof": id + ".", "of another secret": other.token(id), "proof of another ID": id2 + "." + proof,
		"cut off": good[:len(good)-1], "more behind": good + "A", "padding": good + "=", "line break": good + "\n",
		"line break within": id + "." + proof[:10] + "\n" + proof[10:], "space before": " " + good,
		"other spelling of the last bits": good[:len(good)-1] + "_", "no ID": "." + proof, "upper-case ID": strings.ToUpper(id) + "." + proof,
	} {
		if token == good {
			t.Fatalf("%s: the case is the good token", name)
		}
		if got, ok := s.open(token); ok {
			t.Errorf("%s: opened as %q", name, got)
		}
	}
}

func TestCodesAreSixDigitsAndOfOneSignIn(t *testing.T) {
	t.Parallel()
	s := secrets{key: bytes.Repeat([]byte("k"), 32)}
	sixDigits := regexp.MustCompile(`^[0-9]{6}$`)
	seen := map[string]bool{}
	for i := range 200 {
		id := "sgn_" + strings.Repeat("0", i%7) + string(rune('a'+i%26)) + strings.Repeat("1", i/7)
		code := s.code(id)
		if !sixDigits.MatchString(code) || code != s.code(id) {
			t.Errorf("code %q", code)
		}
		seen[code] = true
	}
	if len(seen) < 190 {
		t.Errorf("%d codes of 200 sign-ins differ", len(seen))
	}
	code := s.code("sgn_a")
	for _, typed := range []string{code, " " + code[:3] + " " + code[3:] + " ", code[:3] + "-" + code[3:]} {
		if !s.codeMatches("sgn_a", typed) {
			t.Errorf("%q does not match", typed)
		}
	}
	for _, typed := range []string{"", code[:5], code + "0", "x" + code, s.code("sgn_b")} {
		if s.codeMatches("sgn_a", typed) {
			t.Errorf("%q matches", typed)
		}
	}
}

func TestIDsAreRandomAndReadable(t *testing.T) {
	t.Parallel()
	random := make([]byte, randomLength)
	for i := range random {
		random[i] = byte(i * 37)
	}
	id, err := newID(bytes.NewReader(random), "cust_")
	if err != nil || !regexp.MustCompile(`^cust_[0-9a-z]{20}$`).MatchString(id) {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := newID(bytes.NewReader(random[1:]), "cust_"); err == nil {
		t.Error("an ID was made without enough randomness")
	}
}

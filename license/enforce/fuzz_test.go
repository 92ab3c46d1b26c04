package enforce

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

func fuzzStore() *store {
	return newStore(Config{Fingerprint: "fp:a", State: State{Path: "state", Secret: []byte("secret")}})
}

// sealed adds the integrity code that a state of fuzzStore carries, worked out without the code under test.
func sealed(body string) string {
	of := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	key := of([]byte("secret"), "license/enforce state 1\x00genai-smart-router\x00fp:a")
	return body + "\n" + hex.EncodeToString(of(key, body)) + "\n"
}

// FuzzState asserts of a state file that nothing is accepted without the integrity code of exactly its text, and that
// what is accepted with it survives writing and reading. The code keeps a fuzzer out, so each text is tried as it is
// and with the right code.
func FuzzState(f *testing.F) {
	s := fuzzStore()
	file, err := s.format(&content{Version: 1, Generation: 8, CreatedAt: start, Repairs: 1, ClockFloor: start.Unix(), Epoch: 5,
		Licenses: map[string]*book{
			"lic_<\u2028>": {Requests: 130, Tokens: 1 << 52, TokensOver: 3, Month: start.Unix(), MonthRequests: 130, Window: start.Unix(),
				WindowRequests: 4, WindowTokens: 5, RequestBlock: 10, TokenBlock: 100, ExpiresAt: start.Unix() + 1},
			"lic_2": {Revocation: &license.RevocationEntry{LicenseID: "lic_2", Status: license.StatusSuperseded, Reason: "r",
				EffectiveAt: start.Add(day), SupersededBy: "lic_3"}},
		}})
	if err != nil {
		f.Fatal(err)
	}
	body, _, _ := strings.Cut(string(file), "\n")
	if sealed(body) != string(file) {
		f.Fatalf("the state is sealed in another way:\n%s\n%s", file, sealed(body))
	}
	for _, text := range []string{string(file), body, "", "\n", "{}", `{"version":1}`, `{"version":2}`, `{"version":1,"licenses":null}`,
		`{"version":1,"licenses":{"a":null,"b":{},"b":{"requests":1}}}`, `{"version":1,"created_at":"2026-12-01T00:00:00+01:00"}`,
		`{"version":1,"VERSION":1} more`, `{"version":1,"licenses":{"\ud800":{"requests":-1}}}`, `{"version":1,"unknown":1}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := s.parse(text); err == nil {
			body, _, _ := strings.Cut(text, "\n")
			if whole := sealed(body); !strings.EqualFold(strings.TrimSuffix(text, "\n"), strings.TrimSuffix(whole, "\n")) {
				t.Fatalf("accepted without its integrity code: %q", text)
			}
		}
		if strings.Contains(text, "\n") {
			return // the file's first line alone is what is sealed
		}
		c, err := s.parse(sealed(text))
		if err != nil {
			return
		}
		before, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		file, err := s.format(c)
		if err != nil {
			if len(text) <= maxStateFile/8 { // escapes make a large file larger
				t.Fatalf("accepted, but cannot be written: %v", err)
			}
			return
		}
		again, err := s.parse(string(file))
		if err != nil {
			t.Fatalf("written, but not read again: %v\n%s", err, file)
		}
		after, err := json.Marshal(again)
		if err != nil || string(after) != string(before) {
			t.Fatalf("read again as\n%s\nwant\n%s (%v)", after, before, err)
		}
		for id, b := range again.Licenses {
			if b == nil {
				t.Fatalf("the license %q has no book", id)
			}
		}
	})
}

// The largest file costs a small multiple of its size, sealed or not. Not parallel, since the memory of other tests
// would count.
func TestLargestStateIsReadInBoundedMemory(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"version":1,"licenses":{"":{}`)
	for i := 0; body.Len() < maxStateFile-100; i++ {
		fmt.Fprintf(&body, `,"%x":{}`, i)
	}
	body.WriteString("}}")
	s := fuzzStore()
	for name, c := range map[string]struct {
		text string
		most uint64 // bytes
		good bool
	}{
		"not sealed":                          {body.String() + "\n" + strings.Repeat("0", 64), 3 * maxStateFile, false},
		"no line":                             {strings.Repeat("x", maxStateFile), 3 * maxStateFile, false},
		"nothing but lines":                   {strings.Repeat("\n", maxStateFile), 3 * maxStateFile, false},
		"sealed, as many licenses as will go": {sealed(body.String()), 40 * maxStateFile, true},
		"sealed, nested without end":          {sealed(`{"version":1,"licenses":` + strings.Repeat(`{"a":`, maxStateFile/6)), 40 * maxStateFile, false},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		begin := time.Now()
		_, err := s.parse(c.text)
		took := time.Since(begin)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > c.most || (err == nil) != c.good {
			t.Errorf("%s: %d bytes allocated for %d, want %d at most; %v", name, allocated, len(c.text), c.most, err)
		} else {
			t.Logf("%s: %.1f MB allocated, %v", name, float64(allocated)/1e6, took)
		}
	}
}

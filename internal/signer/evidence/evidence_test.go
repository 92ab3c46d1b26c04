package evidence

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const sample = `{"id":"evt_1","object":"event","api_version":"2023-10-16","created":1795000000,"livemode":false,"type":"checkout.session.completed",
"pending_webhooks":1,"request":{"id":null},"data":{"object":{"id":"cs_1","object":"checkout.session","mode":"payment","status":"complete",
"payment_status":"paid","currency":"usd","amount_subtotal":25000,"amount_total":25000,"created":1794999000,"livemode":false,
"total_details":{"amount_discount":5,"amount_tax":0},"metadata":{"order_id":"ord_1","kind":"new"},"unknown":[{"id":"x"}]}}}`

func TestParseTakesMembersByTheirExactPath(t *testing.T) {
	t.Parallel()
	e, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	s := e.Data
	if e.ID != "evt_1" || e.Type != "checkout.session.completed" || e.Created.Unix() != 1795000000 || e.Livemode || e.APIVersion != APIVersion {
		t.Errorf("event %+v", e)
	}
	if s.ID != "cs_1" || s.Checkout.AmountSubtotal != 25000 || s.Checkout.AmountTotal != 25000 || s.Checkout.AmountDiscount != 5 || s.Currency != "usd" || len(s.Metadata) != 2 {
		t.Errorf("session %+v", s)
	}
	if e.Has("account") || !e.Has("data.object.amount_total") {
		t.Error("has")
	}
}

func TestParseRefusesTwoMeanings(t *testing.T) {
	t.Parallel()
	cases := map[string][2]string{
		"repeated name":             {`"currency":"usd"`, `"currency":"eur","currency":"usd"`},
		"case-folded name":          {`"currency":"usd"`, `"currency":"eur","Currency":"usd"`},
		"escaped name":              {`"currency":"usd"`, `"currency":"eur","\u0063urrency":"usd"`},
		"Kelvin sign":               {`"kind":"new"`, `"kind":"new","` + "\u212a" + `ind":"renewal"`},
		"repeated in metadata":      {`"kind":"new"`, `"kind":"new","kind":"renewal"`},
		"metadata number":           {`"kind":"new"`, `"kind":1`},
		"metadata null":             {`"kind":"new"`, `"kind":null`},
		"metadata object":           {`"kind":"new"`, `"kind":{}`},
		"created twice":             {`"created":1795000000`, `"created":1795000000,"CREATED":1`},
		"created as text":           {`"created":1795000000`, `"created":"1795000000"`},
		"created with exponent":     {`"created":1795000000`, `"created":1.795e9`},
		"created negative":          {`"created":1795000000`, `"created":-5`},
		"created far ahead":         {`"created":1795000000`, `"created":999999999999999`},
		"livemode as text":          {`"livemode":false,"type"`, `"livemode":"false","type"`},
		"no type":                   {`"type":"checkout.session.completed",`, ``},
		"null id":                   {`"id":"evt_1"`, `"id":null`},
		"not an event":              {`"object":"event"`, `"object":"charge"`},
		"lone surrogate":            {`"ord_1"`, `"ord_\ud800"`},
		"invalid UTF-8":             {`"ord_1"`, "\"ord_\xff\""},
		"data after it":             {`"unknown":[{"id":"x"}]}}}`, `"unknown":[{"id":"x"}]}}} {}`},
		"nested too deep":           {`[{"id":"x"}]`, strings.Repeat("[", 40) + strings.Repeat("]", 40)},
		"a member in the wrong way": {`"id":"cs_1"`, `"id":{"id":"cs_1"},"x":{"id":"cs_1"},"id":7`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(sample, c[0], c[1], 1)
			if text == sample {
				t.Fatal("changed nothing")
			}
			if _, err := Parse([]byte(text)); !errors.Is(err, ErrMalformed) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestParseLeavesOutWhatIsNotAPlainValueInItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]string{
		"float":  {`"amount_total":25000`, `"amount_total":25000.0`},
		"text":   {`"amount_total":25000`, `"amount_total":"25000"`},
		"null":   {`"amount_total":25000`, `"amount_total":null`},
		"object": {`"amount_total":25000`, `"amount_total":{"amount_total":25000}`},
		"moved":  {`"amount_total":25000`, `"data.object.amount_total":25000`},
	} {
		e, err := Parse([]byte(strings.Replace(sample, c[0], c[1], 1)))
		if err != nil || e.Has("data.object.amount_total") || e.Data.Checkout.AmountTotal != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const secret, old = "whsec_0123456789abcdef", "whsec_old_0123456789ab"

func sign(t int64, body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", t, body)
	return hex.EncodeToString(mac.Sum(nil))
}

func TestVerifyTriesEverySignatureAgainstEverySecret(t *testing.T) {
	t.Parallel()
	retired := time.Unix(1000, 0)
	v, err := NewVerifier([]Secret{{Value: secret}, {Value: old, RetiredAt: retired}})
	if err != nil {
		t.Fatal(err)
	}
	good, before, after := sign(2000, "body", secret), sign(999, "body", old), sign(1000, "body", old)
	zeros := strings.Repeat("0", 64)
	cases := []struct {
		name, body, header string
		want               bool
	}{
		{"good", "body", "t=2000,v1=" + good, true},
		{"second of two", "body", "t=2000,v1=" + zeros + ",v1=" + good + ",v0=x", true},
		{"garbage beside it", "body", "t=2000,v1=zz,v1=" + good, true},
		{"retired secret, signed before", "body", "t=999,v1=" + before, true},
		{"retired secret, signed after", "body", "t=1000,v1=" + after, false},
		{"other body", "bodY", "t=2000,v1=" + good, false},
		{"other time", "body", "t=2001,v1=" + good, false},
		{"other secret", "body", "t=2000,v1=" + sign(2000, "body", "whsec_another_one_here"), false},
		{"blank secret", "body", "t=2000,v1=" + sign(2000, "body", ""), false},
		{"other scheme", "body", "t=2000,v0=" + good, false},
		{"two times", "body", "t=2000,t=2000,v1=" + good, false},
		{"no time", "body", "v1=" + good, false},
		{"no signature", "body", "t=2000", false},
		{"empty", "body", "", false},
		{"no equals sign", "body", "t=2000,v1=" + good + ",x", false},
		{"too many", "body", "t=2000,v1=" + good + strings.Repeat(",v1="+zeros, 16), false},
		{"too long", "body", "t=2000,v1=" + good + ",x=" + strings.Repeat("x", 5000), false},
	}
	for _, c := range cases {
		if _, err := v.Verify([]byte(c.body), c.header); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNewVerifierRefusesABlankSecret(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]Secret{nil, {{}}, {{Value: secret}, {Value: " "}}, {{Value: "short"}}, {{Value: secret + "\n"}}} {
		if _, err := NewVerifier(secrets); err == nil {
			t.Errorf("%d secrets: accepted", len(secrets))
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", Secret{Value: secret}, Secret{Value: secret}, Secret{Value: secret}); strings.Contains(text, secret) {
		t.Error("a secret prints")
	}
}

func TestFreshBoundsBothSides(t *testing.T) {
	t.Parallel()
	now := time.Unix(2_000_000, 0)
	for d, want := range map[time.Duration]bool{
		0: true, MaxAhead: true, MaxAhead + time.Second: false, -MaxBehind: true, -MaxBehind - time.Second: false,
	} {
		if err := Fresh(now.Add(d), now); (err == nil) != want {
			t.Errorf("%s: %v", d, err)
		}
	}
}

// FuzzParse: what is accepted is JSON, and the standard decoder reads the same values by the same names.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(strings.Replace(sample, `"currency":"usd"`, `"currency":"eur","Currency":"usd"`, 1)))
	f.Add([]byte(strings.Replace(sample, `"ord_1"`, `"\u006frd_1\ud83d\ude00"`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			return
		}
		var std struct {
			ID   string `json:"id"`
			Type string `json:"type"`
			Data struct {
				Object struct {
					Metadata map[string]string `json:"metadata"`
				} `json:"object"`
			} `json:"data"`
		}
		if !json.Valid(data) {
			t.Fatal("not JSON")
		}
		// The decoder folds case, so a single folded name differs; and other objects' members may be of other types.
		if json.Unmarshal(data, &std) != nil || strings.Contains(strings.ToLower(string(data)), `\u`) {
			return
		}
		for name, value := range e.Data.Metadata {
			if got, ok := std.Data.Object.Metadata[name]; !ok || got != value {
				t.Fatalf("%q: %q, decoder reads %q", name, value, got)
			}
		}
	})
}

// FuzzVerify: nothing verifies that was not signed.
func FuzzVerify(f *testing.F) {
	v, err := NewVerifier([]Secret{{Value: secret}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("t=2000,v1=" + sign(2000, "body", secret))
	f.Add("t=2000,v1=" + sign(2000, "body", "") + ",v0=1")
	f.Fuzz(func(t *testing.T, header string) {
		at, err := v.Verify([]byte("body"), header)
		if err == nil && !strings.Contains(strings.ToLower(header), sign(at.Unix(), "body", secret)) {
			// "t" may be spelled with leading zeros or a plus, but then Stripe signed that spelling.
			t.Fatalf("accepted %q", header)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse([]byte(sample)); err != nil {
			b.Fatal(err)
		}
	}
}

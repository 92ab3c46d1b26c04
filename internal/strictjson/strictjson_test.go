package strictjson

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	accept := []string{
		`{}`, `[]`, `null`, ` {"a":1,"b":[true,false,null,-0.5e+10,"x\u00e9\ud83d\ude00"]} `, `{"a":{"a":1}}`, `"\/\b\f\n\r\t\"\\"`,
		`[{"a":1},{"a":2}]`, `{"":1}`, strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
	}
	for _, text := range accept {
		if err := Check([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	refuse := []string{
		``, ` `, `{}x`, `{} {}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"k":1,"` + "\u212a" + `":2}`, `{"s":1,"` + "\u017f" + `":2}`, `{"a":1,"\u0061":2}`,
		`{"é":1,"É":2}`, `{"a":1,}`, `[1,]`, `[1 2]`, `{"a" 1}`, `{a:1}`, `01`, `+1`, `1.`, `.5`, `1e`, `-`, `tru`, `nulL`, `"`, `"\x"`,
		`"\u12"`, `"\ud800"`, `"\udc00"`, `"\ud800\u0041"`, `"\ud800\ud800"`, "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"a\nb\"", "\xef\xbb\xbf{}",
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), `{"a":{"b":1,"B":2}}`, "{\"a\":1}\x00", `[`, `{`, `{"a":`, `{"a":[{"x":1,"x":1}]}`,
	}
	for _, text := range refuse {
		if err := Check([]byte(text)); err == nil {
			t.Errorf("%q: accepted", text)
		}
	}
}

func TestCheckBoundsTheMembersOfAnObject(t *testing.T) {
	t.Parallel()
	object := func(n int) []byte {
		m := map[string]int{}
		for i := range n {
			m["m"+strings.Repeat("x", i%7)+time.Duration(i).String()] = i
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if err := Check(object(MaxMembers)); err != nil {
		t.Error(err)
	}
	if Check(object(MaxMembers+1)) == nil {
		t.Error("accepted one too many")
	}
	wide := append(object(100)[:1], []byte(`"dup":1,`)...)
	wide = append(wide, object(100)[1:]...)
	if err := Check(wide); err != nil {
		t.Error(err)
	}
	wide = append(wide[:len(wide)-1], []byte(`,"Dup":2}`)...)
	if Check(wide) == nil {
		t.Error("accepted a repeated name in a wide object")
	}
}

func TestDecodeTakesNamesExactly(t *testing.T) {
	t.Parallel()
	type inner struct {
		Name string `json:"name"`
	}
	type outer struct {
		At    time.Time       `json:"at"`
		Inner *inner          `json:"inner,omitempty"`
		List  []inner         `json:"list"`
		Raw   json.RawMessage `json:"raw,omitempty"`
	}
	var v outer
	if err := Decode([]byte(`{"at":"2026-01-01T00:00:00Z","inner":{"name":"a"},"list":[{"name":"b"}],"raw":{"Any":1}}`), &v); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		`{"At":"2026-01-01T00:00:00Z"}`, `{"other":1}`, `{"inner":{"Name":"a"}}`, `{"list":[{"NAME":"b"}]}`, `{"list":{}}`, `{} x`,
	} {
		if Decode([]byte(text), new(outer)) == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}

// FuzzCheck: what the strict scanner accepts, the standard decoder accepts too.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"x",null]}`, `{"a":1,"A":2}`, `"\ud83d\ude00"`, `[1e5,-0.1]`, "{\"\xff\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) == nil && !json.Valid(data) {
			t.Fatalf("%q is not JSON", data)
		}
	})
}

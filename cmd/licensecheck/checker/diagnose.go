package checker

import (
	"bytes"
	"strings"
)

// diagnosis is what is wrong with a file whose signature does not verify.
type diagnosis struct {
	problem, hint string
	repaired      []byte // nil where no repair verifies
}

const downloadAgain = " Download license.json again and install that file as it is."

// kinds are files that are no license at all, by how they begin.
var kinds = []struct{ begins, problem, hint string }{
	{"PK\x03\x04", "zip", "This is a ZIP archive (or a document of an office program). Unpack it and choose the license.json inside."},
	{"%PDF-", "pdf", "This is a PDF, perhaps the receipt." + downloadAgain},
	{"\x1f\x8b", "gzip", "This file is compressed with gzip. Unpack it first."},
	{"\x89PNG", "image", "This is a picture." + downloadAgain},
	{"\xff\xd8\xff", "image", "This is a picture." + downloadAgain},
	{"-----BEGIN ", "pem", "This is a key or certificate and no license. If it is a private key, show it to nobody."},
}

// diagnose looks for what happened to a file. It returns a repaired one only where verifies says so.
func diagnose(file []byte, verifies func([]byte) bool) diagnosis {
	switch {
	case len(bytes.TrimSpace(file)) == 0:
		return diagnosis{problem: "empty", hint: "The file is empty: it was not saved whole." + downloadAgain}
	case len(file) > MaxFile:
		return diagnosis{problem: "too-large", hint: "This file is much larger than a license. Choose the license.json."}
	}
	for _, k := range kinds {
		if bytes.HasPrefix(file, []byte(k.begins)) {
			return diagnosis{problem: k.problem, hint: k.hint}
		}
	}
	text := string(file)
	var done []string
	var first repair
	for _, r := range repairs {
		changed := r.apply(text)
		if changed == text || len(changed) > MaxFile {
			continue
		}
		if len(done) == 0 {
			first = r
		}
		done = append(done, r.hint)
		ways := []string{changed}
		if r.otherwise != nil {
			ways = append(ways, r.otherwise(text))
		}
		for _, way := range ways {
			if verifies([]byte(way)) {
				return diagnosis{
					problem:  first.problem,
					hint:     strings.Join(done, " ") + " The repaired file is what was issued; or:" + downloadAgain,
					repaired: []byte(way),
				}
			}
		}
		text = changed
	}
	if lower := bytes.ToLower(file); bytes.Contains(lower, []byte("<!doctype html")) || bytes.Contains(lower, []byte("<html")) {
		return diagnosis{problem: "html", hint: "This is a web page, not the file: the page was saved instead of the download." + downloadAgain}
	}
	return unrepaired(text, first, done)
}

// unrepaired names what is left when no repair helped.
func unrepaired(text string, first repair, done []string) diagnosis {
	start := strings.IndexByte(text, '{')
	_, whole := object(text)
	switch {
	case start < 0:
		return diagnosis{problem: "not-json", hint: "This is no license file: a license.json begins with a brace, {."}
	case !whole:
		return diagnosis{problem: "truncated", hint: "The file ends too early: its end is missing." + downloadAgain}
	case strings.Contains(text, `"revocation_set_id"`):
		return diagnosis{problem: "revocation-bundle", hint: "This is a revocation bundle. The license is another file."}
	case strings.Contains(text, `"keys"`) && !strings.Contains(text, `"payload"`):
		return diagnosis{problem: "key-ring", hint: "This is the key ring, the public keys. The license is another file."}
	case !strings.Contains(text, `"payload"`) || !strings.Contains(text, `"signature"`):
		return diagnosis{problem: "other-json", hint: "This is JSON and no license: a license has a payload and a signature."}
	case len(done) > 0:
		return diagnosis{problem: first.problem, hint: strings.Join(done, " ") + " And more was changed than can be repaired here." + downloadAgain}
	}
	return diagnosis{problem: "changed", hint: "This has the form of a license and is none as it was issued: see the reason. " +
		"Where it was edited or came by a detour:" + downloadAgain}
}

// object cuts text down to its first JSON object. Where the object does not end, whole is false.
func object(text string) (cut string, whole bool) {
	start := strings.IndexByte(text, '{')
	if start < 0 {
		return text, false
	}
	depth, quoted := 0, false
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return text[start : i+1], true
			}
		}
	}
	return text[start:], false
}

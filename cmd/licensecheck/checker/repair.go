package checker

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf16"
)

// repair undoes one way of mangling a file. Apply returns the text as it is where that did not happen.
type repair struct {
	problem, hint string
	apply         func(string) string
	otherwise     func(string) string // another way to undo it, where apply is not the one; may be nil
}

// repairs in the order in which the damage is undone, which is the reverse of how it is done: first how the bytes
// were stored, then what a mail program or page made of the text, last what was copied along.
var repairs = []repair{
	{"utf-16", "The file was saved as UTF-16: save it as plain UTF-8.", fromUTF16, nil},
	{"byte-order-mark", "The file begins with a byte-order mark: save it as UTF-8 without one.", func(s string) string { return strings.TrimPrefix(s, "\uFEFF") }, nil},
	{"base64", "The file is base64-encoded, as in a Kubernetes Secret: decode it.", fromBase64, nil},
	{"quoted-printable", "A mail program encoded the text (quoted-printable): save the attachment, not the text.", fromQuotedPrintable, nil},
	{"mail-quote", "A mail program put > before the lines: save the attachment, not the text.", unquoteMail, nil},
	{"html-escaped", "The text was copied from a page's source: its quotes are written as &quot;.", unescapeHTML, nil},
	{"json-in-string", "The file was written as a text inside JSON: its quotes are written as \\\".", fromJSONString, nil},
	{"typography", "A text program changed quotes or spaces: do not open the file in one.", plainCharacters, nil},
	{"surrounding-text", "There is other text around the license: keep only what is from the first { to its }.", cutObject, nil},
	{"wrapped", "A mail program broke long lines: save the attachment, not the text.", func(s string) string { return joinLines(s, "") },
		func(s string) string { return joinLines(s, " ") }},
	{"control-characters", "There are control characters in the file.", withoutControls, nil},
}

func fromUTF16(s string) string {
	if len(s) < 2 || len(s)%2 != 0 {
		return s
	}
	high, low := 0, 1
	switch {
	case s[0] == 0xFE && s[1] == 0xFF:
	case s[0] == 0xFF && s[1] == 0xFE, s[0] == '{' && s[1] == 0:
		high, low = 1, 0
	case s[0] == 0 && s[1] == '{':
	default:
		return s
	}
	units := make([]uint16, len(s)/2)
	for i := range units {
		units[i] = uint16(s[2*i+high])<<8 | uint16(s[2*i+low])
	}
	return strings.TrimPrefix(string(utf16.Decode(units)), "\uFEFF")
}

func fromBase64(s string) string {
	compact := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	decoded, err := base64.StdEncoding.DecodeString(compact)
	if err != nil || !strings.HasPrefix(strings.TrimSpace(string(decoded)), "{") {
		return s
	}
	return string(decoded)
}

func fromQuotedPrintable(s string) string {
	unix := strings.ReplaceAll(s, "\r\n", "\n")
	if !strings.Contains(unix, "=\n") && !strings.Contains(unix, "=3D") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(unix); i++ {
		switch {
		case unix[i] != '=':
			b.WriteByte(unix[i])
		case i+1 < len(unix) && unix[i+1] == '\n':
			i++
		case i+2 < len(unix) && isHex(unix[i+1]) && isHex(unix[i+2]):
			b.WriteByte(unhex(unix[i+1])<<4 | unhex(unix[i+2]))
			i += 2
		default:
			b.WriteByte('=')
		}
	}
	return b.String()
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'A' + 10
}

func unquoteMail(s string) string {
	lines := strings.Split(s, "\n")
	quoted := 0
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, ">"); ok {
			lines[i] = strings.TrimPrefix(rest, " ")
			quoted++
		}
	}
	if quoted < 2 && len(lines) > 1 {
		return s
	}
	return strings.Join(lines, "\n")
}

func unescapeHTML(s string) string {
	if !strings.Contains(s, "&quot;") && !strings.Contains(s, "&#34;") {
		return s
	}
	return strings.NewReplacer("&quot;", `"`, "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">", "&nbsp;", " ",
		"<br>", "", "<br/>", "", "<br />", "", "&amp;", "&").Replace(s)
}

func fromJSONString(s string) string {
	if !strings.Contains(s, `\"payload\"`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\t`, "\t", `\r`, "").Replace(s)
}

// plainCharacters undoes what a text program does to code.
func plainCharacters(s string) string {
	return strings.NewReplacer("\u201c", `"`, "\u201d", `"`, "\u201e", `"`, "\u00ab", `"`, "\u00bb", `"`,
		"\u00a0", " ", "\u200b", "", "\u00ad", "", "\u2028", "\n", "\u2029", "\n").Replace(s)
}

func cutObject(s string) string {
	cut, whole := object(s)
	if !whole || cut == strings.TrimSpace(s) { // white space around it is no damage
		return s
	}
	return cut
}

// joinLines puts the parts of strings that were broken over lines together again, with what stood at the break: nothing
// in a long run of letters and digits such as a signature, and with in any other text.
func joinLines(s, with string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(s, '"')
		if open < 0 {
			return b.String() + s
		}
		length := stringLength(s[open+1:])
		b.WriteString(s[:open+1])
		b.WriteString(joined(s[open+1:open+1+length], with))
		if s = s[open+1+length:]; s == "" {
			return b.String()
		}
		b.WriteByte('"')
		s = s[1:]
	}
}

// stringLength is the length of a JSON string up to its closing quote, or of all of s where there is none.
func stringLength(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(s)
}

func joined(text, with string) string {
	if !strings.ContainsAny(text, "\r\n") {
		return text
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.TrimLeft(parts[i], " \t")
	}
	whole := strings.Join(parts, "")
	const shortest = 40 // of a signature or hash; names have spaces
	if len(whole) >= shortest && !strings.Contains(whole, " ") {
		return whole
	}
	return strings.Join(parts, with)
}

func withoutControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\r' && r != '\t' {
			return -1
		}
		return r
	}, s)
}

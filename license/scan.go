package license

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads one strict JSON document from front to back. It only ever walks into objects and arrays that its
// caller asked for, so depth is bounded by the caller's code (four levels, of the eight that the format allows) and
// a hostile file can neither recurse nor make it allocate more than the file's own size.
//
// The first failure sticks: err says what was wrong and where, and no value is read after it.
type scanner struct {
	text string
	pos  int
	err  *Error
}

// maxNumber is the first integer that the format refuses: 2^53, from where a float64 no longer holds every integer.
const maxNumber = 1 << 53

func (s *scanner) fail(reason string) {
	if s.err == nil {
		s.err = invalid(reason + " (byte " + strconv.Itoa(s.pos+1) + ")")
	}
}

func (s *scanner) failAt(pos int, reason string) {
	s.pos = pos
	s.fail(reason)
}

// space skips white space and returns the byte after it, or 0 at the end of the text.
func (s *scanner) space() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// take consumes the byte c after white space and reports whether it was there.
func (s *scanner) take(c byte) bool {
	if s.err != nil || s.space() != c {
		return false
	}
	s.pos++
	return true
}

// object reads an object. For each member it calls read, which consumes the value and returns the number (0 to 31)
// of the name, or -1 for a name that the format does not know. It returns the set of the numbers it saw.
// Names are compared exactly, after JSON's escapes: encoding/json would also take a name in another case, and the
// last of two.
func (s *scanner) object(read func(name string) int) (seen uint32) {
	if !s.open('{', "an object") || s.take('}') {
		return 0
	}
	for s.err == nil {
		start := s.pos
		name := s.string()
		if !s.take(':') {
			s.fail("a name must be followed by a colon")
			return seen
		}
		number := read(name)
		switch {
		case s.err != nil:
			return seen
		case number < 0:
			s.failAt(start, "unknown name, or one spelled in another case")
		case seen&(1<<number) != 0:
			s.failAt(start, "duplicate name")
		default:
			seen |= 1 << number
		}
		if s.take('}') {
			return seen
		}
		if !s.take(',') {
			s.fail("the object is cut short or lacks a comma")
		}
		s.space()
	}
	return seen
}

// array reads an array and calls element for each of its elements, which must consume it.
func (s *scanner) array(element func()) {
	if !s.open('[', "a list") || s.take(']') {
		return
	}
	for s.err == nil {
		element()
		if s.take(']') {
			return
		}
		if !s.take(',') {
			s.fail("the list is cut short or lacks a comma")
		}
	}
}

func (s *scanner) open(c byte, what string) bool {
	if s.take(c) {
		s.space()
		return true
	}
	s.failType(what)
	return false
}

// failType reports a value of the wrong type; null gets a word of its own, since many writers put it for "absent".
func (s *scanner) failType(want string) {
	switch s.space() {
	case 'n':
		s.fail("null is not allowed: leave the name out")
	case 0:
		s.fail("the file is cut short")
	default:
		s.fail("expected " + want)
	}
}

// end checks that nothing but white space follows.
func (s *scanner) end() {
	if s.space(); s.pos < len(s.text) {
		s.fail("something follows the JSON object")
	}
}

// string reads a string. A string without escapes shares the text's memory.
func (s *scanner) string() string {
	value, _ := s.rawString()
	return value
}

// rawString also reports whether the string was written without escapes, as encoding/json wants times to be.
func (s *scanner) rawString() (value string, plain bool) {
	if !s.take('"') {
		s.failType("a string")
		return "", false
	}
	start, ascii := s.pos, true
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			value = s.text[start:s.pos]
			if !ascii && !utf8.ValidString(value) {
				s.fail("invalid UTF-8")
				return "", false
			}
			s.pos++
			return value, true
		case c == '\\':
			return s.escapedString(start), false
		case c < ' ':
			s.fail("control character in a string")
			return "", false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.fail("the file is cut short inside a string")
	return "", false
}

// escapedString finishes a string that began at start and has its first backslash at the current position.
func (s *scanner) escapedString(start int) string {
	buf := append([]byte(nil), s.text[start:s.pos]...)
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		switch {
		case c == '"':
			if !utf8.Valid(buf) {
				s.fail("invalid UTF-8")
				return ""
			}
			s.pos++
			return string(buf)
		case c < ' ':
			s.fail("control character in a string")
			return ""
		case c == '\\':
			if buf = s.escape(buf); s.err != nil {
				return ""
			}
		default:
			buf = append(buf, c)
			s.pos++
		}
	}
	s.fail("the file is cut short inside a string")
	return ""
}

// escape decodes the escape sequence at the current position.
func (s *scanner) escape(buf []byte) []byte {
	if s.pos+1 >= len(s.text) {
		s.fail("the file is cut short inside a string")
		return buf
	}
	c := s.text[s.pos+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicodeEscape(buf)
	default:
		s.fail("unknown escape in a string")
		return buf
	}
	s.pos += 2
	return append(buf, c)
}

// unicodeEscape decodes \uXXXX, or two of them that make a surrogate pair.
func (s *scanner) unicodeEscape(buf []byte) []byte {
	r, ok := s.hex4()
	if !ok {
		s.fail("a \\u escape needs four hexadecimal digits")
		return buf
	}
	if utf16.IsSurrogate(r) {
		low, ok := s.hex4()
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			s.fail("lone surrogate in a string")
			return buf
		}
	}
	return utf8.AppendRune(buf, r)
}

// hex4 consumes one \uXXXX.
func (s *scanner) hex4() (rune, bool) {
	if len(s.text)-s.pos < 6 || s.text[s.pos] != '\\' || s.text[s.pos+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s.text[s.pos+2 : s.pos+6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.pos += 6
	return r, true
}

// integer reads a plain non-negative integer below 2^53. Every other spelling of a number is refused: the routers
// in the field read 5e6, 5.0 and -0 differently or not at all.
func (s *scanner) integer() int64 {
	first := s.space()
	if first == '-' {
		s.fail("negative number")
		return 0
	}
	start := s.pos
	var n int64
	for ; s.pos < len(s.text) && '0' <= s.text[s.pos] && s.text[s.pos] <= '9'; s.pos++ {
		if n = n*10 + int64(s.text[s.pos]-'0'); n >= maxNumber {
			s.fail("number of 2^53 or more")
			return 0
		}
	}
	switch {
	case s.pos == start:
		s.failType("a plain integer")
		return 0
	case first == '0' && s.pos > start+1:
		s.fail("number with a leading zero")
	case s.pos < len(s.text) && (s.text[s.pos] == '.' || s.text[s.pos]|0x20 == 'e'):
		s.fail("a number must be a plain integer, without fraction or exponent")
	}
	return n
}

// boolean reads true or false.
func (s *scanner) boolean() bool {
	s.space()
	rest := s.text[s.pos:]
	switch {
	case len(rest) >= 4 && rest[:4] == "true":
		s.pos += 4
		return true
	case len(rest) >= 5 && rest[:5] == "false":
		s.pos += 5
		return false
	}
	s.failType("true or false")
	return false
}

// strings reads a list of strings; an empty list is nil, since the format never signs an empty member.
func (s *scanner) strings() []string {
	var list []string
	s.array(func() { list = append(list, s.string()) })
	return list
}

package strictjson

import (
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// escape reads one escape, or two that make a surrogate pair.
func (s *scanner) escape() (rune, error) {
	s.pos++ // the backslash
	c := s.peek()
	s.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, s.fail("an unknown escape")
	}
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if s.peek() != '\\' || s.pos+1 >= len(s.data) || s.data[s.pos+1] != 'u' {
		return 0, s.fail("a lone surrogate")
	}
	s.pos += 2
	low, err := s.hex4()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, s.fail("a lone surrogate")
	}
	return r, nil
}

func (s *scanner) hex4() (rune, error) {
	var r rune
	for range 4 {
		c := s.peek()
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, s.fail("an unfinished escape")
		}
		s.pos++
	}
	return r, nil
}

// Unquote decodes a string as Walk hands it over; ok is false where raw is another kind of value.
func Unquote(raw []byte) (text string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	s := scanner{data: raw}
	decoded, err := s.text()
	return string(decoded), err == nil && s.pos == len(raw)
}

// nameSet holds the names of one object's members by a hash of their case-folded form. Two names that collide are taken
// for one, which refuses a text that could only have been made on purpose.
type nameSet struct {
	few   [64]uint64
	count int
	more  map[uint64]struct{} // from the 65th on
}

// add reports whether the name is new and the object not too wide.
func (n *nameSet) add(name []byte) bool {
	h := foldedHash(name)
	for _, seen := range n.few[:min(n.count, len(n.few))] {
		if seen == h {
			return false
		}
	}
	if _, seen := n.more[h]; seen || n.count >= MaxMembers {
		return false
	}
	if n.count < len(n.few) {
		n.few[n.count] = h
	} else {
		if n.more == nil {
			n.more = make(map[uint64]struct{})
		}
		n.more[h] = struct{}{}
	}
	n.count++
	return true
}

// foldedHash is FNV-1a over the folded runes.
func foldedHash(name []byte) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(name); {
		r, size := rune(name[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(name[i:])
		}
		i += size
		h = (h ^ uint64(fold(r))) * 1099511628211
	}
	return h
}

// fold maps a rune to the smallest that differs from it by case alone, as encoding/json folds names: the Kelvin sign and
// k are one.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next // the orbit wraps to its smallest rune
		}
		r = next
	}
}

func errName(name string) error { return fmt.Errorf("%w: unknown name %q", ErrSyntax, name) }

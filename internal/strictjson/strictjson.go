// Package strictjson reads JSON so that one text has one meaning.
//
// The standard decoder folds the case of names, takes the last of two members with one name, and replaces what is not
// UTF-8, so two readers of one signed text may see two values. This package refuses all of that: a name that appears twice
// in an object (also when only the case differs), bytes that are not UTF-8, lone surrogates, control characters, data
// after the value, and anything deeper, longer or wider than its bounds.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Bounds on what is read; memory stays proportional to the input.
const (
	MaxDepth   = 32   // nested objects and arrays
	MaxMembers = 1024 // members of one object
)

// ErrSyntax is wrapped by every error of this package that concerns the text, and says where reading stopped.
var ErrSyntax = errors.New("not strict JSON")

// Check reports whether data is one strict JSON value.
func Check(data []byte) error { return Walk(data, nil) }

// Walk checks data and calls visit for every string, number, true, false, null, {} and [] with its path and its text as
// written.
// A path element is a member's decoded name, or nil for an array's. Neither may be kept after visit returns. An error of
// visit ends the walk.
func Walk(data []byte, visit func(path [][]byte, raw []byte) error) error {
	s := scanner{data: data, visit: visit}
	s.space()
	if err := s.value(); err != nil {
		return err
	}
	s.space()
	if s.pos != len(data) {
		return s.fail("data after the value")
	}
	return nil
}

// Decode reads data into v, which must be a pointer to a struct: strictly, with every name spelled exactly as v's types
// have it, and no other.
func Decode(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return exactNames(data, v)
}

type scanner struct {
	data  []byte
	pos   int
	path  [][]byte
	visit func(path [][]byte, raw []byte) error
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrSyntax, what, s.pos)
}

func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0 // never a byte of valid JSON outside a string
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value() error {
	start := s.pos
	var err error
	switch c := s.peek(); {
	case c == '{':
		return s.object()
	case c == '[':
		return s.array()
	case c == '"':
		_, err = s.text()
	case c == '-' || c >= '0' && c <= '9':
		err = s.number()
	case c == 't':
		err = s.literal("true")
	case c == 'f':
		err = s.literal("false")
	case c == 'n':
		err = s.literal("null")
	default:
		err = s.fail("no value")
	}
	if err != nil || s.visit == nil {
		return err
	}
	return s.visit(s.path, s.data[start:s.pos])
}

func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		return s.fail("no value")
	}
	s.pos += len(word)
	return nil
}

// enter pushes a level below the current value.
func (s *scanner) enter() error {
	if len(s.path) >= MaxDepth {
		return s.fail("nested too deep")
	}
	s.pos++
	s.path = append(s.path, nil)
	s.space()
	return nil
}

// leaveEmpty ends an object or array that has nothing in it and reports it like a plain value.
func (s *scanner) leaveEmpty() error {
	if err := s.leave(); err != nil || s.visit == nil {
		return err
	}
	return s.visit(s.path, []byte{s.data[s.pos-1] - 2, s.data[s.pos-1]}) // '{' and '[' stand two before '}' and ']'
}

func (s *scanner) leave() error {
	s.pos++
	s.path = s.path[:len(s.path)-1]
	return nil
}

func (s *scanner) array() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == ']' {
		return s.leaveEmpty()
	}
	for {
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case ']':
			return s.leave()
		default:
			return s.fail("neither comma nor end of array")
		}
	}
}

func (s *scanner) object() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == '}' {
		return s.leaveEmpty()
	}
	var names nameSet
	for {
		if s.peek() != '"' {
			return s.fail("no name")
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if !names.add(name) {
			return s.fail("a repeated name or too many members")
		}
		s.path[len(s.path)-1] = name
		s.space()
		if s.peek() != ':' {
			return s.fail("no colon")
		}
		s.pos++
		s.space()
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			return s.leave()
		default:
			return s.fail("neither comma nor end of object")
		}
	}
}

// number follows RFC 8259 section 6.
func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fail("no digits")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fail("no digits")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fail("no digits")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.peek() >= '0' && s.peek() <= '9' {
		s.pos++
	}
	return s.pos > start
}

// text reads a string and returns it decoded; without escapes that is a slice of the input.
func (s *scanner) text() ([]byte, error) {
	s.pos++ // the opening quote
	start := s.pos
	var decoded []byte // nil until the first escape
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			raw := s.data[start:s.pos]
			s.pos++
			if decoded == nil {
				return raw, nil
			}
			return append(decoded, raw...), nil
		case c == '\\':
			decoded = append(decoded, s.data[start:s.pos]...)
			r, err := s.escape()
			if err != nil {
				return nil, err
			}
			decoded = utf8.AppendRune(decoded, r)
			start = s.pos
		case c < 0x20:
			return nil, s.fail("a control character in a string")
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, size := utf8.DecodeRune(s.data[s.pos:])
			if r == utf8.RuneError && size == 1 {
				return nil, s.fail("invalid UTF-8")
			}
			s.pos += size
		}
	}
	return nil, s.fail("an unfinished string")
}

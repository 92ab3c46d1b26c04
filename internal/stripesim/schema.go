package stripesim

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// schema names the parameters of a call, or of an object within one.
type schema map[string]field

// field says what one parameter may be.
type field struct {
	read     func(name string, n *node) (any, *apiError)
	required bool
}

func (f field) must() field { f.required = true; return f }

// decode checks n against s and returns the typed values. What s does not name
// is parameter_unknown. prefix is the name of the object, empty at the top.
func (s schema) decode(prefix string, n *node) (object, *apiError) {
	out := object{}
	for _, key := range n.names() {
		name := key
		if prefix != "" {
			name = prefix + "[" + key + "]"
		}
		f, ok := s[key]
		if !ok {
			return nil, invalid("parameter_unknown", name, "Received unknown parameter: %s", name)
		}
		v, err := f.read(name, n.kids[key])
		if err != nil {
			return nil, err
		}
		out[key] = v
	}
	for _, key := range sortedKeys(s) {
		if s[key].required && !out.has(key) {
			name := key
			if prefix != "" {
				name = prefix + "[" + key + "]"
			}
			return nil, invalid("parameter_missing", name, "Missing required param: %s.", name)
		}
	}
	return out, nil
}

func sortedKeys(s schema) []string {
	out := make([]string, 0, len(s))
	for k := range s {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// scalar reads a single text and hands it to parse.
func scalar(parse func(name, text string) (any, *apiError)) field {
	return field{read: func(name string, n *node) (any, *apiError) {
		if n.text == nil {
			return nil, invalid("", name, "Invalid string: expected a single value for %s", name)
		}
		return parse(name, *n.text)
	}}
}

// text is a string of at most limit characters; empty is not allowed.
func text(limit int) field {
	return scalar(func(name, v string) (any, *apiError) {
		if v == "" {
			return nil, invalid("parameter_invalid_empty", name,
				"You passed an empty string for '%s'. We assume empty values are an attempt to unset a parameter; however '%s' cannot be unset. You should remove '%s' from your request or supply a non-empty value.", name, name, name)
		}
		return v, tooLong(name, v, limit)
	})
}

// unsettable is a string of at most limit characters; empty unsets it (null).
func unsettable(limit int) field {
	return scalar(func(name, v string) (any, *apiError) {
		return nullable(v), tooLong(name, v, limit)
	})
}

func tooLong(name, v string, limit int) *apiError {
	if !utf8.ValidString(v) {
		return invalid("", name, "Invalid UTF-8 in %s.", name)
	}
	if n := utf8.RuneCountInString(v); n > limit {
		return invalid("parameter_invalid_string_length", name, "Invalid string: %s is %d characters long; at most %d are allowed.", name, n, limit)
	}
	return nil
}

// oneOf is one of a closed list of words.
func oneOf(words ...string) field {
	return scalar(func(name, v string) (any, *apiError) {
		if slices.Contains(words, v) {
			return v, nil
		}
		return nil, invalid("", name, "Invalid %s: must be one of %s", name, strings.Join(words, ", "))
	})
}

// integer is a whole number within bounds, both included.
func integer(low, high int64) field {
	return scalar(func(name, v string) (any, *apiError) {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, invalid("parameter_invalid_integer", name, "Invalid integer: %s", v)
		}
		if n < low || n > high {
			return nil, invalid("parameter_invalid_integer", name, "Invalid %s: must be between %d and %d.", name, low, high)
		}
		return n, nil
	})
}

func boolean() field {
	return scalar(func(name, v string) (any, *apiError) {
		switch v {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
		return nil, invalid("", name, "Invalid boolean: %s", v)
	})
}

// currencyCode is three letters, answered in lower case.
func currencyCode() field {
	return scalar(func(name, v string) (any, *apiError) {
		c := strings.ToLower(v)
		if _, ok := currencyDigits(c); !ok {
			return nil, invalid("", name, "Invalid currency: %s.", v)
		}
		return c, nil
	})
}

// hash is an object of known fields; an empty text stands for no object.
func hash(s schema) field {
	return field{read: func(name string, n *node) (any, *apiError) {
		if n.text != nil {
			if *n.text == "" {
				return nil, nil
			}
			return nil, invalid("", name, "Invalid object: %s", name)
		}
		return s.decode(name, n)
	}}
}

// listOf is an array of at most limit elements.
func listOf(limit int, elem field) field {
	return field{read: func(name string, n *node) (any, *apiError) {
		if n.text != nil {
			if *n.text == "" {
				return []any{}, nil
			}
			return nil, invalid("", name, "Invalid array: %s", name)
		}
		if len(n.kids) > limit {
			return nil, invalid("", name, "Array %s exceeded maximum %d allowed elements.", name, limit)
		}
		out := []any{}
		for _, key := range n.names() {
			if _, err := strconv.Atoi(key); err != nil {
				return nil, invalid("", name, "Invalid array: %s", name)
			}
			v, err := elem.read(name+"["+key+"]", n.kids[key])
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}}
}

// metadata is Stripe's: at most 50 keys of 40 characters without brackets,
// values of 500 characters. An empty text unsets all of it.
func metadata() field {
	return field{read: func(name string, n *node) (any, *apiError) {
		if n.text != nil {
			if *n.text == "" {
				return "", nil
			}
			return nil, invalid("", name, "Invalid object: %s", name)
		}
		if len(n.kids) > 50 {
			return nil, invalid("", name, "Metadata can have up to 50 keys, received %d.", len(n.kids))
		}
		out := object{}
		for _, key := range n.names() {
			full := name + "[" + key + "]"
			kid := n.kids[key]
			if kid.text == nil {
				return nil, invalid("", full, "Metadata values must be strings: %s", full)
			}
			if utf8.RuneCountInString(key) > 40 {
				return nil, invalid("", full, "Metadata keys can be up to 40 characters long; %s is longer.", key)
			}
			if utf8.RuneCountInString(*kid.text) > 500 {
				return nil, invalid("", full, "Metadata values can be up to 500 characters long, but you passed in a value that is %d characters.", utf8.RuneCountInString(*kid.text))
			}
			out[key] = *kid.text
		}
		return out, nil
	}}
}

// notHere is a parameter that Stripe knows and the stand-in does not act on.
func notHere() field {
	return field{read: func(name string, _ *node) (any, *apiError) {
		return nil, unsupported(name, "parameter %s", name)
	}}
}

// off is an object {enabled: false}; enabling it is not for the stand-in.
func off() field {
	return field{read: func(name string, n *node) (any, *apiError) {
		v, err := hash(schema{"enabled": boolean().must()}).read(name, n)
		if o, ok := v.(object); err == nil && ok && o.flag("enabled") {
			return nil, unsupported(name+"[enabled]", "%s", name)
		}
		return v, err
	}}
}

// createdRange is the created filter of lists: a time, or gt, gte, lt, lte.
func createdRange() field {
	at := integer(0, 1<<40)
	bounds := hash(schema{"gt": at, "gte": at, "lt": at, "lte": at})
	return field{read: func(name string, n *node) (any, *apiError) {
		if n.text != nil {
			v, err := at.read(name, n)
			return object{"gte": v, "lte": v}, err
		}
		return bounds.read(name, n)
	}}
}

// with joins schemas; later ones win.
func with(parts ...schema) schema {
	out := schema{}
	for _, p := range parts {
		for k, f := range p {
			out[k] = f
		}
	}
	return out
}

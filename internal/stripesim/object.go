package stripesim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
)

// object is a JSON object as the API shows it. Its values are nil, bool,
// int64, float64, string, object and []any, nothing else.
type object map[string]any

// UnmarshalJSON keeps whole numbers exact and nested objects typed.
func (o *object) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var raw map[string]any
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	n, err := normalize(raw)
	if err != nil {
		return err
	}
	*o, _ = n.(object)
	return nil
}

func normalize(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if v == nil {
			return object(nil), nil
		}
		out := make(object, len(v))
		for k, e := range v {
			n, err := normalize(e)
			if err != nil {
				return nil, err
			}
			out[k] = n
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			n, err := normalize(e)
			if err != nil {
				return nil, err
			}
			out[i] = n
		}
		return out, nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("number out of range: %w", err)
		}
		return f, nil
	}
	return v, nil
}

func (o object) clone() object {
	out := make(object, len(o))
	for k, v := range o {
		out[k] = cloneValue(v)
	}
	return out
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case object:
		if v == nil {
			return nil
		}
		return v.clone()
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = cloneValue(e)
		}
		return out
	}
	return v
}

func (o object) str(key string) string { s, _ := o[key].(string); return s }
func (o object) int(key string) int64  { n, _ := o[key].(int64); return n }
func (o object) flag(key string) bool  { b, _ := o[key].(bool); return b }
func (o object) sub(key string) object { s, _ := o[key].(object); return s }
func (o object) list(key string) []any { l, _ := o[key].([]any); return l }
func (o object) has(key string) bool   { _, ok := o[key]; return ok }
func (o object) strings(key string) []string {
	var out []string
	for _, v := range o.list(key) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// orNull is the value under key, or null: for optional parameters.
func (o object) orNull(key string) any { return o[key] }

// merge lays patch over o: objects merge, anything else replaces, and null is
// a value. Neither argument changes.
func merge(o, patch object) object {
	out := o.clone()
	for k, v := range patch {
		sub, isObject := v.(object)
		if old, ok := out[k].(object); ok && isObject {
			out[k] = merge(old, sub)
			continue
		}
		out[k] = cloneValue(v)
	}
	return out
}

// mergeMetadata applies Stripe's rule: an empty value removes its key, and
// metadata given as an empty string removes them all.
func mergeMetadata(old object, given any) object {
	patch, ok := given.(object)
	if !ok {
		return object{}
	}
	out := object{}
	maps.Copy(out, old)
	for k, v := range patch {
		if v == "" {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// previous lists the attributes of before that differ in after, with their old
// values: the previous_attributes of an update event.
func previous(before, after object) object {
	out := object{}
	for k, v := range after {
		if !reflect.DeepEqual(before[k], v) {
			out[k] = cloneValue(before[k])
		}
	}
	return out
}

// stringList makes a JSON array of strings.
func stringList(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}

// nullable turns an empty string into null.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

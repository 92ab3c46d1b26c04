package stripesim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// spec is Stripe's OpenAPI specification, as far as answers are concerned.
type spec struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct{ Schema *shape }
		}
	}
	Components struct{ Schemas map[string]*shape }
}

// shape is what a JSON value may be.
type shape struct {
	Ref        string `json:"$ref"`
	Type       string
	Nullable   bool
	Enum       []any
	AnyOf      []*shape
	Properties map[string]*shape
	Required   []string
	Items      *shape
	// AdditionalProperties are the values of free-form objects such as metadata.
	AdditionalProperties any
}

func readSpec(path string) (spec, error) {
	var s spec
	data, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(data, &s)
}

// answerOf is the shape of a call's good answer, nil where there is no such
// call. path has the parameters' values in it.
func (s spec) answerOf(method, path string) *shape {
	parts := strings.Split(path, "/")
	var best *shape
	exact := -1
	for pattern, methods := range s.Paths {
		call, ok := methods[strings.ToLower(method)]
		want := strings.Split(pattern, "/")
		if !ok || len(want) != len(parts) {
			continue
		}
		same := 0
		for i := range want {
			switch {
			case want[i] == parts[i]:
				same++
			case !strings.HasPrefix(want[i], "{"):
				same = -len(want)
			}
		}
		if same > exact {
			exact, best = same, call.Responses["200"].Content["application/json"].Schema
		}
	}
	return best
}

func (s spec) resolve(sh *shape) *shape {
	for sh.Ref != "" {
		sh = s.Components.Schemas[strings.TrimPrefix(sh.Ref, "#/components/schemas/")]
	}
	return sh
}

// check lists what in v does not fit a shape. Members that a shape does not know
// are faults too, so that nothing is made up.
func (s spec) check(at string, sh *shape, v any) []string {
	sh = s.resolve(sh)
	fault := func(format string, args ...any) []string { return []string{at + ": " + fmt.Sprintf(format, args...)} }
	if v == nil {
		if sh.Nullable {
			return nil
		}
		for _, option := range sh.AnyOf {
			if s.resolve(option).Nullable {
				return nil
			}
		}
		return fault("is null, which it must not be")
	}
	if len(sh.AnyOf) > 0 {
		return s.checkAny(at, sh.AnyOf, v)
	}
	if len(sh.Enum) > 0 && !slices.Contains(sh.Enum, v) {
		return fault("%v is none of %v", v, sh.Enum)
	}
	switch v := v.(type) {
	case string:
		if sh.Type != "string" {
			return fault("is a string, not %s", sh.Type)
		}
	case bool:
		if sh.Type != "boolean" {
			return fault("is a boolean, not %s", sh.Type)
		}
	case float64:
		if sh.Type != "number" && (sh.Type != "integer" || v != float64(int64(v))) {
			return fault("is the number %v, not %s", v, sh.Type)
		}
	case []any:
		if sh.Type != "array" {
			return fault("is an array, not %s", sh.Type)
		}
		var faults []string
		for i, e := range v {
			faults = append(faults, s.check(fmt.Sprintf("%s[%d]", at, i), sh.Items, e)...)
		}
		return faults
	case map[string]any:
		if sh.Type != "object" {
			return fault("is an object, not %s", sh.Type)
		}
		return s.checkObject(at, sh, v)
	}
	return nil
}

// checkAny wants one of several shapes: the one whose object member says so, or
// any that fits.
func (s spec) checkAny(at string, options []*shape, v any) []string {
	var faults []string
	for _, option := range options {
		option = s.resolve(option)
		if o, ok := v.(map[string]any); ok && o["object"] != nil {
			kind := option.Properties["object"]
			if kind == nil || !slices.Contains(s.resolve(kind).Enum, o["object"]) || (option.Properties["deleted"] != nil) != (o["deleted"] != nil) {
				continue
			}
		}
		found := s.check(at, option, v)
		if len(found) == 0 {
			return nil
		}
		faults = append(faults, found...)
	}
	if len(faults) == 0 {
		return []string{fmt.Sprintf("%s: %v fits none of %d shapes", at, v, len(options))}
	}
	return faults
}

func (s spec) checkObject(at string, sh *shape, v map[string]any) []string {
	var faults []string
	if len(sh.Properties) == 0 {
		if values, ok := sh.AdditionalProperties.(map[string]any); ok && values["type"] == "string" {
			for name, e := range v {
				if _, ok := e.(string); !ok {
					faults = append(faults, fmt.Sprintf("%s.%s: is %T, not a string", at, name, e))
				}
			}
		}
		return faults
	}
	for _, name := range sh.Required {
		if _, ok := v[name]; !ok {
			faults = append(faults, at+": has no "+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		member := sh.Properties[name]
		if member == nil {
			faults = append(faults, fmt.Sprintf("%s: has a member %s, which Stripe does not have", at, name))
			continue
		}
		faults = append(faults, s.check(at+"."+name, member, v[name])...)
	}
	return faults
}

package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
)

// exactNames refuses names that the standard decoder accepted although their case differs from the field's.
func exactNames(data []byte, v any) error {
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return err
	}
	return matchNames(tree, reflect.TypeOf(v))
}

func matchNames(tree any, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch node := tree.(type) {
	case []any:
		if t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
			return nil // a type that reads itself, such as json.RawMessage
		}
		for _, item := range node {
			if err := matchNames(item, t.Elem()); err != nil {
				return err
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return nil
		}
		for name, member := range node {
			field, ok := fieldOf(t, name)
			if !ok {
				return errName(name)
			}
			if err := matchNames(member, field); err != nil {
				return err
			}
		}
	}
	return nil
}

func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag == name {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}

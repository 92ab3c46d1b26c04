package stripesim

import (
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// node is one place in a form in Stripe's bracket notation: a text, or what
// lies below it. a[b][0]=x is a → b → 0 → "x".
type node struct {
	text *string
	kids map[string]*node
	next int // the index that a "[]" takes
}

const (
	maxFormDepth  = 8
	maxFormFields = 1000
)

// parseForm reads a query string or form body. A name given twice, too deep,
// or as both text and object is an error.
func parseForm(raw string) (*node, *apiError) {
	root := &node{kids: map[string]*node{}}
	if raw == "" {
		return root, nil
	}
	parts := strings.Split(raw, "&")
	if len(parts) > maxFormFields {
		return nil, invalid("", "", "Too many parameters: at most %d.", maxFormFields)
	}
	for _, part := range parts {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err1 := url.QueryUnescape(rawName)
		value, err2 := url.QueryUnescape(rawValue)
		if err1 != nil || err2 != nil {
			return nil, invalid("", "", "Invalid form encoding.")
		}
		if err := root.insert(name, value); err != nil {
			return nil, err
		}
	}
	return root, nil
}

func (n *node) insert(name, value string) *apiError {
	path, ok := splitName(name)
	if !ok || len(path) > maxFormDepth {
		return invalid("", name, "Invalid parameter name: %s", name)
	}
	for _, key := range path {
		if n.text != nil {
			return invalid("", name, "Parameter is both a value and an object: %s", name)
		}
		if n.kids == nil {
			n.kids = map[string]*node{}
		}
		if key == "" {
			key = strconv.Itoa(n.next)
		}
		if i, err := strconv.Atoi(key); err == nil && i >= n.next {
			n.next = i + 1
		}
		kid := n.kids[key]
		if kid == nil {
			kid = &node{}
			n.kids[key] = kid
		}
		n = kid
	}
	if n.text != nil || n.kids != nil {
		return invalid("", name, "Parameter given twice: %s", name)
	}
	n.text = &value
	return nil
}

// splitName splits a[b][] into a, b and "".
func splitName(name string) ([]string, bool) {
	head, rest, nested := strings.Cut(name, "[")
	if head == "" || strings.Contains(head, "]") {
		return nil, false
	}
	path := []string{head}
	if !nested {
		return path, true
	}
	if !strings.HasSuffix(rest, "]") {
		return nil, false
	}
	for _, key := range strings.Split(strings.TrimSuffix(rest, "]"), "][") {
		if strings.ContainsAny(key, "[]") {
			return nil, false
		}
		path = append(path, key)
	}
	return path, true
}

// names lists the keys below n: numbers by value, then the rest by letter.
func (n *node) names() []string {
	out := make([]string, 0, len(n.kids))
	for k := range n.kids {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool {
		a, errA := strconv.Atoi(out[i])
		b, errB := strconv.Atoi(out[j])
		if errA == nil && errB == nil {
			return a < b
		}
		if (errA == nil) != (errB == nil) {
			return errA == nil
		}
		return out[i] < out[j]
	})
	return out
}

// canonical writes the form so that two that mean the same read the same,
// whatever the order of their parameters.
func (n *node) canonical() string {
	if n.text != nil {
		return strconv.Quote(*n.text)
	}
	var b strings.Builder
	b.WriteByte('{')
	for _, key := range n.names() {
		b.WriteString(strconv.Quote(key) + ":" + n.kids[key].canonical() + ",")
	}
	b.WriteByte('}')
	return b.String()
}

package license

import "time"

// writer appends JSON to buf: without white space, or with two spaces a level where indent is set. The caller sees
// to names and their order.
type writer struct {
	buf    []byte
	indent bool
	depth  int
	filled bool // the innermost open object or list has a member
}

func (w *writer) open(bracket byte) {
	w.buf = append(w.buf, bracket)
	w.depth++
	w.filled = false
}

func (w *writer) close(bracket byte) {
	w.depth--
	if w.filled {
		w.newline()
	}
	w.buf = append(w.buf, bracket)
	w.filled = true
}

func (w *writer) newline() {
	if !w.indent {
		return
	}
	w.buf = append(w.buf, '\n')
	for range w.depth {
		w.buf = append(w.buf, ' ', ' ')
	}
}

// element begins the next member or element.
func (w *writer) element() {
	if w.filled {
		w.buf = append(w.buf, ',')
	}
	w.filled = true
	w.newline()
}

// member begins a member; its value must follow. Names are plain ASCII.
func (w *writer) member(name string) *writer {
	w.element()
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
	if w.indent {
		w.buf = append(w.buf, ' ')
	}
	return w
}

func (w *writer) string(text string) { w.buf = appendString(w.buf, text) }
func (w *writer) time(t time.Time)   { w.buf = appendTime(w.buf, t) }
func (w *writer) integer(n int64)    { w.buf = appendInteger(w.buf, n) }

func (w *writer) strings(list []string) {
	w.open('[')
	for _, text := range list {
		w.element()
		w.string(text)
	}
	w.close(']')
}

func (w *writer) optionalString(name, text string) {
	if text != "" {
		w.member(name).string(text)
	}
}

func (w *writer) optionalStrings(name string, list []string) {
	if len(list) > 0 {
		w.member(name).strings(list)
	}
}

func (w *writer) optionalInteger(name string, n int64) {
	if n != 0 {
		w.member(name).integer(n)
	}
}

func (w *writer) optionalTrue(name string, set bool) {
	if set {
		w.member(name)
		w.buf = append(w.buf, "true"...)
	}
}

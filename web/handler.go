package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/metrum-ai/licensing-portal/web/view"
)

// handler answers a request or says why not; one adapter turns the error into a page.
type handler func(w http.ResponseWriter, r *http.Request) error

// page adapts a handler.
func (s *server) page(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// chrome is what every page shares, filled from the request.
func (s *server) chrome(r *http.Request, title, nav string) view.Chrome {
	c := view.Chrome{
		Title: title, Nav: nav, Path: r.URL.Path, Theme: themeOf(r), RequestID: requestID(r.Context()),
		Contact: s.Contact, TestMode: s.TestMode, Asset: s.static.path, Now: s.now(),
	}
	if a, ok := actorOf(r.Context()); ok {
		c.SignedIn, c.Organization, c.Email, c.Several = true, a.organization.Name, a.user.Email, a.several
		c.MayBuy, c.MayChange = a.role.MayBuy(), a.mayChange()
	}
	return c
}

// minCompressed is the size from which a page is compressed.
const minCompressed = 1400

// render writes a whole page or nothing: it is rendered to a buffer before the status is written.
func (s *server) render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	m := memories.Get().(*memory)
	defer memories.Put(m)
	m.page.Reset()
	if err := c.Render(r.Context(), &m.page); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "private, no-store")
	}
	h.Add("Vary", "Accept-Encoding")
	body := m.page.Bytes()
	if len(body) >= minCompressed && acceptsGzip(r) {
		m.compressed.Reset()
		body = gzipped(m.gzip, &m.compressed, body)
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client went away
	}
	return nil
}

func acceptsGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, parameter, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.TrimSpace(parameter) != "q=0" {
			return true
		}
	}
	return false
}

// memory is what a page is rendered in. It is used again, since a compressor alone takes most of a megabyte.
type memory struct {
	page, compressed bytes.Buffer
	gzip             *gzip.Writer
}

var memories = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that exists
	return &memory{gzip: z}
}}

// gzipped compresses data into an empty buffer; memory cannot fail.
func gzipped(z *gzip.Writer, to *bytes.Buffer, data []byte) []byte {
	z.Reset(to)
	_, _ = z.Write(data)
	_ = z.Close()
	return to.Bytes()
}

// see answers a form with the page that shows its outcome.
func see(w http.ResponseWriter, r *http.Request, url string) error {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, url, http.StatusSeeOther)
	return nil
}

// form reads a bounded form of plain fields.
func form(r *http.Request) error {
	switch contentType(r) {
	case "application/x-www-form-urlencoded":
	default:
		return errContentType
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	if !allText(r.PostForm) {
		return errors.New("a field is not text")
	}
	return nil
}

// isText reports whether s can be stored: UTF-8 without a zero byte, which no database keeps.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func allText(values url.Values) bool {
	for name, list := range values {
		if !isText(name) || slices.ContainsFunc(list, func(v string) bool { return !isText(v) }) {
			return false
		}
	}
	return true
}

func contentType(r *http.Request) string {
	name, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(name))
}

package stripesim

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// defaultEmail is in the page's field where the session names no customer.
const defaultEmail = "buyer@example.test"

// pages are the templates, parsed once.
type pages struct{ t *template.Template }

func newPages() (*pages, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"money":    formatMoney,
		"time":     pageTime,
		"duration": plainDuration,
		"day":      day,
		"tone":     tone,
		"plain":    func(status string) string { return strings.ReplaceAll(status, "_", " ") },
		"rfc":      func(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) },
	}).ParseFS(assets, "assets/*.html")
	if err != nil {
		return nil, err
	}
	return &pages{t}, nil
}

func (s *Server) pageHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.frontPage)
	mux.HandleFunc("GET /c/pay/{id}", s.checkoutPage)
	mux.HandleFunc("POST /c/pay/{id}", s.checkoutPost)
	mux.HandleFunc("GET /i/{id}", s.invoicePage)
	mux.HandleFunc("POST /i/{id}", s.invoicePost)
	mux.HandleFunc("GET /p/session/{id}", s.portalPage)
	mux.HandleFunc("POST /p/session/{id}", s.portalPost)
	mux.HandleFunc("GET /o/{id}", s.objectPage)
	mux.HandleFunc("POST /o/{id}", s.objectPost)
	mux.HandleFunc("POST /clock", s.clockPost)
	mux.HandleFunc("GET /receipts/{id}", s.receiptPage)
	mux.HandleFunc("GET /i/{id}/pdf", s.pdfPage(kindInvoice, func(_ *tx, r *record) document { return invoiceDocument(r) }))
	mux.HandleFunc("GET /credit_notes/{id}/pdf", s.pdfPage(kindCreditNote, (*tx).creditNoteDocument))
	mux.HandleFunc("GET /assets/stripesim.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, assets, "assets/stripesim.css")
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.render(w, http.StatusNotFound, "message.html", "", messagePage{
			Title: "Nothing here", Text: "The Stripe stand-in has no such page. Checkout pages live at /c/pay/ and a session's ID.",
		})
	})
	return mux
}

// render writes a page from a buffer, so that an error in it is a clean 500.
// formTo is an address that a form on the page may be redirected to.
func (s *Server) render(w http.ResponseWriter, status int, name, formTo string, data any) {
	var buf bytes.Buffer
	if err := s.pages.t.ExecuteTemplate(&buf, name, data); err != nil {
		s.cfg.Logger.Error("render page", "page", name, "error", err)
		http.Error(w, "The Stripe stand-in could not show this page.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", strings.TrimSpace("default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+formTo))
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // the browser is gone when this fails
}

// parseForm reads a page's form, or says that it did not arrive.
func (s *Server) parseForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	err := r.ParseForm()
	if err != nil {
		s.render(w, http.StatusBadRequest, "message.html", "", messagePage{Title: "The form did not arrive", Text: "Go back and try again. Nothing was changed."})
	}
	return err == nil
}

type messagePage struct {
	Title, Text, Link, LinkText string
}

// noSuchPage answers for a page about something that is not there.
func (s *Server) noSuchPage(w http.ResponseWriter, r *http.Request, err error) {
	if asAPIError(err).status >= 500 {
		s.pageError(w, r, err)
		return
	}
	s.render(w, http.StatusNotFound, "message.html", "", messagePage{Title: "Nothing here", Text: "This address names nothing that the stand-in knows. Go back to where you came from."})
}

func (s *Server) pageError(w http.ResponseWriter, r *http.Request, err error) {
	s.cfg.Logger.Error("page failed", "path", r.URL.Path, "error", err)
	s.render(w, http.StatusInternalServerError, "message.html", "", messagePage{Title: "The stand-in could not do that", Text: "Nothing was changed. Try again; the stand-in's log says what went wrong."})
}

// plainDuration writes a duration as the portal's pages do: 14 min 22 s.
func plainDuration(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}} {
		if n := d / unit.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d\u00a0%s", n, unit.name))
			d -= n * unit.size
		}
	}
	if len(parts) == 0 {
		return "a moment"
	}
	return strings.Join(parts, " ")
}

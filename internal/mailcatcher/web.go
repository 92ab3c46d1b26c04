package mailcatcher

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// webAddress finds the addresses in a text, without what ends a sentence.
var webAddress = regexp.MustCompile(`https?://[^\s<>"]*[^\s<>".,;:!?)]`)

// Handler shows the mails:
//
//	GET /                 the list, newest first
//	GET /mails/{id}       one mail
//	GET /mails/{id}/html  its HTML part, for the frame of that page
//	GET /api/mails        all mails as JSON, newest first; ?to= one recipient's only
//	GET /api/mails/{id}   one mail as JSON
//
// It answers to localhost, 127.0.0.1 and [::1] only, so that no other site can
// read mails by a name that points here.
func (c *Catcher) Handler() http.Handler {
	pages := template.Must(template.New("").Funcs(template.FuncMap{
		"clock":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"linked": linked,
	}).ParseFS(assets, "assets/*.html"))
	show := func(w http.ResponseWriter, status int, name string, data any) {
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, name, data); err != nil {
			c.cfg.Logger.Error("page was not made", "page", name, "error", err)
			http.Error(w, "the page could not be made", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.WriteHeader(status)
		_, _ = w.Write(b.Bytes())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		show(w, http.StatusOK, "list.html", c.Mails())
	})
	mux.HandleFunc("GET /mails/{id}", func(w http.ResponseWriter, r *http.Request) {
		m, ok := c.store.find(r.PathValue("id"))
		if !ok {
			show(w, http.StatusNotFound, "missing.html", nil)
			return
		}
		show(w, http.StatusOK, "mail.html", m)
	})
	mux.HandleFunc("GET /mails/{id}/html", c.htmlPart)
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, assets, "assets/style.css")
	})
	mux.HandleFunc("GET /api/mails", func(w http.ResponseWriter, r *http.Request) {
		mails := c.Mails()
		if to := r.URL.Query().Get("to"); to != "" {
			mails = slices.DeleteFunc(mails, func(m Mail) bool { return !m.sentTo(to) })
		}
		writeJSON(w, http.StatusOK, mails)
	})
	mux.HandleFunc("GET /api/mails/{id}", func(w http.ResponseWriter, r *http.Request) {
		m, ok := c.store.find(r.PathValue("id"))
		if !ok {
			writeJSON(w, http.StatusNotFound, map[string]string{"code": "mail-unknown", "message": "there is no mail with this id"})
			return
		}
		writeJSON(w, http.StatusOK, m)
	})
	return local(mux)
}

// htmlPart serves what a mail brought along: without scripts, without anything
// from elsewhere, and of another origin than our pages. Its links open anew.
func (c *Catcher) htmlPart(w http.ResponseWriter, r *http.Request) {
	m, ok := c.store.find(r.PathValue("id"))
	if !ok || m.HTML == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "+
		"form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox")
	_, _ = w.Write([]byte(withNewTabs(m.HTML)))
}

// withNewTabs makes links open in a tab of their own. The element goes into the
// head where there is one, so that the document type stays in front.
func withNewTabs(html string) string {
	const base = `<base target="_blank">`
	if i := strings.Index(strings.ToLower(html), "<head>"); i >= 0 {
		i += len("<head>")
		return html[:i] + base + html[i:]
	}
	return base + html
}

func (m Mail) sentTo(address string) bool {
	return slices.ContainsFunc(m.Recipients, func(to string) bool { return strings.EqualFold(to, address) })
}

// linked is text with its web addresses made links.
func linked(text string) template.HTML {
	var b strings.Builder
	rest := 0
	for _, at := range webAddress.FindAllStringIndex(text, -1) {
		link := template.HTMLEscapeString(text[at[0]:at[1]])
		b.WriteString(template.HTMLEscapeString(text[rest:at[0]]))
		b.WriteString(`<a href="` + link + `">` + link + `</a>`)
		rest = at[1]
	}
	b.WriteString(template.HTMLEscapeString(text[rest:]))
	return template.HTML(b.String()) // every piece was escaped above
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // only a client that left makes it fail
}

// local refuses other names than this machine's own, and keeps mails out of
// caches and of other sites.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !slices.Contains([]string{"localhost", "127.0.0.1", "::1", "[::1]"}, host) {
			http.Error(w, "open this page as http://localhost", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

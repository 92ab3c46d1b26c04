package mail

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed templates
var files embed.FS

// templates holds both forms of every mail.
type templates struct {
	text *texttemplate.Template
	html *template.Template
}

func parseTemplates() (templates, error) {
	text, err := texttemplate.ParseFS(files, "templates/*.txt")
	if err != nil {
		return templates{}, fmt.Errorf("parse text templates: %w", err)
	}
	html, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return templates{}, fmt.Errorf("parse HTML templates: %w", err)
	}
	return templates{text: text, html: html}, nil
}

func (t templates) render(kind string, data any) (text, html string, err error) {
	var b strings.Builder
	if err := t.text.ExecuteTemplate(&b, kind+".txt", data); err != nil {
		return "", "", err
	}
	text = b.String()
	b.Reset()
	if err := t.html.ExecuteTemplate(&b, kind+".html", data); err != nil {
		return "", "", err
	}
	return text, b.String(), nil
}

// boundary separates the parts of the message with an ID. A digest of it cannot turn up in a part by chance.
func boundary(messageID string) string {
	sum := sha256.Sum256([]byte(messageID))
	return "part-" + hex.EncodeToString(sum[:16])
}

// moment writes a time as the pages do: "20 Dec 2026, 09:00 UTC".
func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") + " UTC" }

// sentence begins with a capital letter.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

// oneLine keeps a customer's words from adding lines to the plain text.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

package view

import (
	"context"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// Prose writes a sentence in which what stands between backticks is code, and every date is one for machines too.
func Prose(text string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		for n, part := range strings.Split(text, "`") {
			part = dated(templ.EscapeString(part))
			if n%2 == 1 {
				part = "<code>" + part + "</code>"
			}
			b.WriteString(part)
		}
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// breaks are where a long name or address may go on in the next line, so that it is not torn in the middle of a word.
var breaks = strings.NewReplacer("_", "_<wbr>", "@", "@<wbr>")

// Breakable writes an identifier, an address or another value, which may be broken at its joints. What is copied from the
// page is unchanged.
func Breakable(text string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, dated(breaks.Replace(templ.EscapeString(text))))
		return err
	})
}

// stamps finds what Stamp and Day write.
var stamps = regexp.MustCompile(`\b\d{1,2} [A-Z][a-z]{2} \d{4}(?:, \d{2}:\d{2}` + nbsp + `UTC)?`)

// dated marks up the dates in a text.
func dated(text string) string {
	return stamps.ReplaceAllStringFunc(text, func(stamp string) string {
		for _, layout := range []string{stampLayout, dayLayout} {
			if t, err := time.Parse(layout, stamp); err == nil {
				return `<time datetime="` + Machine(t) + `">` + stamp + `</time>`
			}
		}
		return stamp
	})
}

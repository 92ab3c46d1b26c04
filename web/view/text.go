package view

import (
	"context"
	"io"
	"strings"

	"github.com/a-h/templ"
)

// Prose writes a sentence in which what stands between backticks is code.
func Prose(text string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		for n, part := range strings.Split(text, "`") {
			part = templ.EscapeString(part)
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

// Breakable writes an identifier or address that may be broken at its joints. What is copied from the page is unchanged.
func Breakable(text string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, breaks.Replace(templ.EscapeString(text)))
		return err
	})
}

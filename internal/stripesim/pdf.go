package stripesim

import (
	"bytes"
	"fmt"
	"strings"
)

// pdf writes a small PDF 1.4 file of text: A4 pages, Helvetica, WinAnsi
// characters (ISO 32000-1, annex D.2); other characters become "?".
type pdf struct {
	pages []*bytes.Buffer
}

const (
	pageWidth  = 595 // points, A4
	pageHeight = 842
	pageMargin = 56
)

func (p *pdf) newPage() { p.pages = append(p.pages, &bytes.Buffer{}) }

// text writes one line at x and y points from the page's top left corner.
func (p *pdf) text(x, y float64, size int, bold bool, s string) {
	font := "F1"
	if bold {
		font = "F2"
	}
	fmt.Fprintf(p.pages[len(p.pages)-1], "BT /%s %d Tf %.1f %.1f Td (%s) Tj ET\n", font, size, x, pageHeight-y, pdfString(s))
}

// right writes a line that ends at x.
func (p *pdf) right(x, y float64, size int, bold bool, s string) {
	p.text(x-textWidth(s, size), y, size, bold, s)
}

// rule draws a thin line across the page.
func (p *pdf) rule(y float64) {
	fmt.Fprintf(p.pages[len(p.pages)-1], "0.6 w 0.7 G %d %.1f m %d %.1f l S\n", pageMargin, pageHeight-y, pageWidth-pageMargin, pageHeight-y)
}

// bytes is the whole file.
func (p *pdf) bytes() []byte {
	var kids strings.Builder
	objects := []string{"<< /Type /Catalog /Pages 2 0 R >>", "",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
	}
	for _, content := range p.pages {
		page := len(objects) + 1
		fmt.Fprintf(&kids, "%d 0 R ", page)
		objects = append(objects,
			fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>", pageWidth, pageHeight, page+1),
			fmt.Sprintf("<< /Length %d >>\nstream\n%sendstream", content.Len(), content.String()),
		)
	}
	objects[1] = fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", strings.TrimSpace(kids.String()), len(p.pages))

	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, at := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return out.Bytes()
}

// winAnsi are the characters used here that WinAnsi has elsewhere than Unicode.
var winAnsi = map[rune]byte{'€': 0x80, '‘': 0x91, '’': 0x92, '“': 0x93, '”': 0x94, '–': 0x96, '—': 0x97, '−': '-'}

// pdfString escapes a text for a PDF string.
func pdfString(s string) string {
	var b strings.Builder
	for _, r := range s {
		c, known := winAnsi[r]
		switch {
		case known:
			fmt.Fprintf(&b, "\\%03o", c)
		case r == '(' || r == ')' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\u00a0':
			b.WriteByte(' ')
		case r >= ' ' && r < 0x7f:
			b.WriteRune(r)
		case r > 0xa0 && r <= 0xff:
			fmt.Fprintf(&b, "\\%03o", r)
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// textWidth is about how wide a text is, in points: exact for digits, which
// are what is set to the right.
func textWidth(s string, size int) float64 {
	width := 0
	for _, r := range s {
		switch {
		case r == '.' || r == ',' || r == ' ' || r == '\u00a0':
			width += 278
		case r == 'U' || r == 'S':
			width += 694
		default:
			width += 556
		}
	}
	return float64(width*size) / 1000
}

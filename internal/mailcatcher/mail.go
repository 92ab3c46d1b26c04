package mailcatcher

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDepth is how deep multiparts may lie in one another.
const maxDepth = 5

// Mail is a mail as its reader sees it.
type Mail struct {
	ID         string    `json:"id"`
	From       string    `json:"from"`
	To         string    `json:"to"` // the recipients, joined by ", "
	Recipients []string  `json:"recipients"`
	Subject    string    `json:"subject"`
	Text       string    `json:"text"` // empty when the mail has no plain part
	HTML       string    `json:"html"` // empty when the mail has no HTML part
	Date       time.Time `json:"date"` // of arrival
}

// read fills in what the message says. A message that is not well formed shows
// as plain text, so that nothing that arrived is hidden.
func (m *Mail) read(raw []byte) {
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Text = printable(raw)
		return
	}
	m.Subject = decodeHeader(msg.Header.Get("Subject"))
	if from := msg.Header.Get("From"); from != "" {
		m.From = decodeHeader(from)
	}
	m.part(textproto.MIMEHeader(msg.Header), msg.Body, 0)
	if m.Text == "" && m.HTML == "" {
		if _, body, ok := bytes.Cut(raw, []byte("\n\n")); ok {
			m.Text = printable(body)
		}
	}
}

// part takes the first plain and the first HTML part; attachments are left out.
func (m *Mail) part(header textproto.MIMEHeader, body io.Reader, depth int) {
	mediaType, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		mediaType = "text/plain"
	}
	if strings.HasPrefix(mediaType, "multipart/") && depth < maxDepth {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err != nil {
				return // io.EOF, or a mail cut short: what was read is shown
			}
			m.part(p.Header, p, depth+1)
		}
	}
	if disposition, _, _ := mime.ParseMediaType(header.Get("Content-Disposition")); disposition == "attachment" {
		return
	}
	switch {
	case mediaType == "text/plain" && m.Text == "":
		m.Text = decodeBody(header, params["charset"], body)
	case mediaType == "text/html" && m.HTML == "":
		m.HTML = decodeBody(header, params["charset"], body)
	}
}

func decodeBody(header textproto.MIMEHeader, charset string, body io.Reader) string {
	switch strings.ToLower(strings.TrimSpace(header.Get("Content-Transfer-Encoding"))) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, _ := io.ReadAll(body) // what can be read is shown
	if strings.EqualFold(charset, "iso-8859-1") {
		return strings.ReplaceAll(latin1(text), "\r\n", "\n")
	}
	return printable(text)
}

// printable is text with the line ends of a file and no invalid UTF-8.
func printable(text []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(text), string(utf8.RuneError)), "\r\n", "\n")
}

func latin1(text []byte) string {
	runes := make([]rune, len(text))
	for i, b := range text {
		runes[i] = rune(b)
	}
	return string(runes)
}

func decodeHeader(value string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		decoded = value
	}
	return printable([]byte(decoded))
}

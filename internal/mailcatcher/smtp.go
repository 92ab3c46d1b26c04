package mailcatcher

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

const (
	// idleLimit is how long a client may stay silent.
	idleLimit = time.Minute
	// maxLine is the longest command, in bytes.
	maxLine       = 2 << 10
	maxRecipients = 100
)

var errTooLarge = errors.New("mailcatcher: message too large")

// session is one SMTP connection (RFC 5321), as far as a mail program that
// submits plain mail needs it.
type session struct {
	c    *Catcher
	conn net.Conn
	in   *bufio.Reader

	from string
	open bool // MAIL FROM was given
	to   []string
}

func (c *Catcher) serve(conn net.Conn) {
	s := &session{c: c, conn: conn, in: bufio.NewReaderSize(conn, maxLine)}
	s.say("220 localhost mail catcher, nothing is passed on")
	for {
		_ = conn.SetDeadline(time.Now().Add(idleLimit))
		line, err := s.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			s.say("500 line too long")
			return
		}
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		if strings.EqualFold(verb, "QUIT") {
			s.say("221 bye")
			return
		}
		if !s.command(strings.ToUpper(verb), strings.TrimSpace(rest)) {
			return
		}
	}
}

func (s *session) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.conn, format+"\r\n", args...) // a client that left is noticed at the next read
}

// command answers one command and reports whether the session goes on.
func (s *session) command(verb, rest string) bool {
	switch verb {
	case "EHLO":
		s.reset()
		s.say("250-localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE %d", maxMessage)
	case "HELO":
		s.reset()
		s.say("250 localhost")
	case "MAIL":
		address, ok := path(rest, "FROM:")
		if !ok {
			s.say("501 MAIL FROM:<address>")
			break
		}
		s.reset()
		s.from, s.open = address, true
		s.say("250 ok")
	case "RCPT":
		s.recipient(rest)
	case "DATA":
		return s.data()
	case "RSET":
		s.reset()
		s.say("250 ok")
	case "NOOP":
		s.say("250 ok")
	case "VRFY":
		s.say("252 every address is taken")
	default:
		s.say("502 command not known here")
	}
	return true
}

func (s *session) reset() { s.from, s.open, s.to = "", false, nil }

func (s *session) recipient(rest string) {
	address, ok := path(rest, "TO:")
	_, err := mail.ParseAddress(address)
	switch {
	case !s.open:
		s.say("503 MAIL comes first")
	case !ok || err != nil:
		s.say("501 RCPT TO:<address>")
	case len(s.to) >= maxRecipients:
		s.say("452 too many recipients")
	default:
		s.to = append(s.to, address)
		s.say("250 ok")
	}
}

// data takes the message and answers only when it is kept.
func (s *session) data() bool {
	if len(s.to) == 0 {
		s.say("503 RCPT comes first")
		return true
	}
	s.say("354 go on, and end with a dot on a line of its own")
	raw, err := readMessage(s.in)
	switch {
	case errors.Is(err, errTooLarge):
		s.say("552 message too large, %d bytes are the limit", maxMessage)
	case err != nil:
		return false
	default:
		if err := s.c.store.add(s.c.cfg.Clock(), s.from, s.to, raw); err != nil {
			s.c.cfg.Logger.Error("mail was not kept", "error", err)
			s.say("452 the mail could not be kept")
			break
		}
		s.say("250 caught")
	}
	s.reset()
	return true
}

// readMessage reads up to the line with a dot. A message over the limit is read
// to its end as well, so that the client gets the answer.
func readMessage(in *bufio.Reader) ([]byte, error) {
	dot := textproto.NewReader(in).DotReader()
	raw, err := io.ReadAll(io.LimitReader(dot, maxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("mailcatcher: %w", err)
	}
	if len(raw) <= maxMessage {
		return raw, nil
	}
	if _, err := io.Copy(io.Discard, dot); err != nil {
		return nil, fmt.Errorf("mailcatcher: %w", err)
	}
	return nil, errTooLarge
}

// path takes the address out of FROM:<address> and TO:<address>, leaving the
// parameters that may follow.
func path(rest, prefix string) (string, bool) {
	if len(rest) < len(prefix) || !strings.EqualFold(rest[:len(prefix)], prefix) {
		return "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(rest[len(prefix):]), "<")
	if !ok {
		return "", false
	}
	address, _, ok := strings.Cut(rest, ">")
	return address, ok
}

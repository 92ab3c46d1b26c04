// Package mail sends the portal's mails over SMTP: the sign-in link and code, "your license is ready", that another license is
// in the place of one, and what a revocation bundle changed about a license. Every mail is plain text with an HTML
// alternative. Links lead to the configured public address, never to what a request called the host. A license file is never
// sent. The same subject makes the same Message-ID, so that a mail sent again after a crash can be recognized. Errors and
// logs name no address.
package mail

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

const defaultTimeout = 30 * time.Second

// Config is what a Sender needs. Everything without a default is required.
type Config struct {
	SMTPURL   string        // see ParseSMTPURL; may hold a password
	From      string        // "licenses@example.com" or "Licenses <licenses@example.com>"
	PublicURL string        // of the portal, without a path: "https://licenses.example.com"
	Timeout   time.Duration // of one mail; 30 s by default
	Now       func() time.Time
}

// Sender sends mails. It is safe for concurrent use; each mail has a connection of its own.
type Sender struct {
	server    Server
	from      *netmail.Address
	domain    string // of from, for Message-IDs
	publicURL string
	timeout   time.Duration
	now       func() time.Time
	templates templates
}

// New makes a Sender. It errors with everything that is wrong at once and connects to nothing yet.
func New(c Config) (*Sender, error) {
	var problems []error
	server, err := ParseSMTPURL(c.SMTPURL)
	problems = append(problems, err)
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		problems = append(problems, errors.New("config: From is not an e-mail address"))
	}
	public, err := url.Parse(c.PublicURL)
	if err != nil || public.Host == "" || (public.Scheme != "https" && public.Scheme != "http") {
		problems = append(problems, errors.New("config: PublicURL is not an http or https address"))
	}
	if c.Now == nil {
		problems = append(problems, errors.New("config: Now is required"))
	}
	if c.Timeout < 0 {
		problems = append(problems, errors.New("config: Timeout is negative"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	parsed, err := parseTemplates()
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return &Sender{
		server: server, from: from, domain: from.Address[strings.LastIndexByte(from.Address, '@')+1:],
		publicURL: strings.TrimRight(c.PublicURL, "/"), timeout: c.Timeout, now: c.Now, templates: parsed,
	}, nil
}

// message is one mail before it is put into MIME.
type message struct {
	to      string
	kind    string // "sign-in", "ready", "standing": names the templates
	ref     string // of what it is about; with kind it makes the Message-ID
	subject string
	data    any
}

// send renders and delivers m within the timeout: a third of it each to connect, to greet and to hand over. Errors are
// *DeliveryError, or ErrAddress.
func (s *Sender) send(ctx context.Context, m message) error {
	built, err := s.build(m)
	if err != nil {
		return err
	}
	step := s.timeout / 3
	client, err := gomail.NewClient(s.server.Host, s.server.options(s.domain, step)...)
	if err != nil {
		return errors.New("mail: SMTP settings are not usable")
	}
	ctx, cancel := context.WithTimeout(ctx, step)
	defer cancel()
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return deliveryError(err)
	}
	// The server has the mail, or has not, once it answered for the content: how the goodbye goes changes nothing, and
	// taking it for a failure would send the mail twice.
	defer func() { _ = client.CloseWithSMTPClient(conn) }()
	if err := client.SendWithSMTPClient(conn, built); err != nil {
		return deliveryError(err)
	}
	return nil
}

// build makes the MIME message. Of one kind and ref, all but the Date header is always the same.
func (s *Sender) build(m message) (*gomail.Msg, error) {
	text, html, err := s.templates.render(m.kind, m.data)
	if err != nil {
		return nil, fmt.Errorf("mail: render %s: %w", m.kind, err)
	}
	id := m.kind + "." + m.ref + "@" + s.domain
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary(boundary(id)))
	msg.FromMailAddress(s.from)
	if err := msg.To(m.to); err != nil {
		return nil, ErrAddress // go-mail's error would name the address
	}
	msg.Subject(m.subject)
	msg.SetMessageIDWithValue(id)
	msg.SetDateWithValue(s.now().UTC())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no vacation notices in answer
	msg.SetBodyString(gomail.TypeTextPlain, text)
	msg.AddAlternativeString(gomail.TypeTextHTML, html)
	return msg, nil
}

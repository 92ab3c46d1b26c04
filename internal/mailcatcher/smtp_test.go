package mailcatcher_test

import (
	"net/textproto"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/mailcatcher"
)

func TestTheServerFollowsTheProtocol(t *testing.T) {
	t.Parallel()
	const mailFrom, rcptTo = "MAIL FROM:<a@b.example>", "RCPT TO:<ada@example.org>"
	for name, c := range map[string]struct {
		commands []string
		code     int // of the last answer
	}{
		"greeting with HELO":            {[]string{"HELO me"}, 250},
		"commands in lower case":        {[]string{"helo me", "mail from:<a@b.example>", "rcpt to:<ada@example.org>"}, 250},
		"parameters of MAIL":            {[]string{mailFrom + " BODY=8BITMIME SIZE=100"}, 250},
		"empty reverse path":            {[]string{"MAIL FROM:<>"}, 250},
		"MAIL without an address":       {[]string{"MAIL FROM: nobody"}, 501},
		"MAIL of something else":        {[]string{"MAIL TO:<a@b.example>"}, 501},
		"RCPT before MAIL":              {[]string{rcptTo}, 503},
		"RCPT with a bad address":       {[]string{mailFrom, "RCPT TO:<not an address>"}, 501},
		"RCPT without an end":           {[]string{mailFrom, "RCPT TO:<ada@example.org"}, 501},
		"DATA before RCPT":              {[]string{mailFrom, "DATA"}, 503},
		"RSET forgets the recipients":   {[]string{mailFrom, rcptTo, "RSET", "DATA"}, 503},
		"NOOP":                          {[]string{"NOOP"}, 250},
		"VRFY":                          {[]string{"VRFY ada"}, 252},
		"unknown command":               {[]string{"STARTTLS"}, 502},
		"empty line":                    {[]string{""}, 502},
		"too many recipients":           {append([]string{mailFrom}, repeat(rcptTo, 101)...), 452},
		"line too long":                 {[]string{"NOOP " + strings.Repeat("x", 4096)}, 500},
		"a second mail after the first": {[]string{mailFrom, rcptTo, "DATA", "Subject: s\r\n\r\nx\r\n.", mailFrom, rcptTo}, 250},
		"a mail over the limit":         {[]string{mailFrom, rcptTo, "DATA", strings.Repeat(strings.Repeat("x", 998)+"\r\n", 4300) + "."}, 552},
		"and the session then goes on":  {[]string{mailFrom, rcptTo, "DATA", strings.Repeat(strings.Repeat("x", 998)+"\r\n", 4300) + ".", "NOOP"}, 250},
		"goodbye":                       {[]string{"QUIT"}, 221},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := textproto.Dial("tcp", start(t, mailcatcher.Config{}).smtp)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, _, err := conn.ReadResponse(220); err != nil {
				t.Fatal(err)
			}
			var code int
			var message string
			for _, command := range c.commands {
				if err := conn.PrintfLine("%s", command); err != nil {
					t.Fatal(err)
				}
				if code, message, err = conn.ReadResponse(0); err != nil {
					t.Fatal(err)
				}
			}
			if code != c.code {
				t.Errorf("last answer %d %s, want %d", code, message, c.code)
			}
		})
	}
}

func repeat(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

func TestCloseCutsIdleConnections(t *testing.T) {
	t.Parallel()
	f := start(t, mailcatcher.Config{})
	conn, err := textproto.Dial("tcp", f.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, _, err := conn.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := conn.ReadLine(); err == nil {
		t.Error("the connection is still open")
	}
}

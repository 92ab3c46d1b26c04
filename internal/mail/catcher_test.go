package mail

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
)

// catcher is an SMTP server that keeps what it is sent, or answers one command with a reply of its own.
type catcher struct {
	listener net.Listener
	command  string // whose reply is replaced, e.g. "RCPT", "." for the content, "QUIT"
	reply    string // the replacement; "hang" answers nothing, "drop" closes the connection

	mu       sync.Mutex
	received []caught
}

type caught struct{ from, to, data string }

func newCatcher(t *testing.T, command, reply string) *catcher {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &catcher{listener: l, command: command, reply: reply}
	var wg sync.WaitGroup
	done := make(chan struct{})
	t.Cleanup(func() { close(done); _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { <-done; _ = conn.Close() })
			wg.Go(func() { c.serve(conn) })
		}
	})
	return c
}

func (c *catcher) url() string { return "smtp://" + c.listener.Addr().String() }

func (c *catcher) all() []caught {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]caught(nil), c.received...)
}

func (c *catcher) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	// say answers a command and reports whether the session goes on.
	say := func(command, reply string) bool {
		if command == c.command {
			switch c.reply {
			case "drop":
				return false
			case "hang":
				return true
			}
			reply = c.reply
		}
		_, err := conn.Write([]byte(reply + "\r\n"))
		return err == nil
	}
	var mail caught
	for goesOn := say("greeting", "220 catcher"); goesOn; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		command := strings.ToUpper(strings.Fields(line + " x")[0])
		switch command {
		case "EHLO":
			goesOn = say(command, "250-catcher\r\n250 8BITMIME")
		case "MAIL":
			mail.from = line
			goesOn = say(command, "250 ok")
		case "RCPT":
			mail.to = line
			goesOn = say(command, "250 ok")
		case "DATA":
			if goesOn = say(command, "354 go on"); !goesOn {
				return
			}
			if mail.data, err = readContent(r); err != nil {
				return
			}
			c.mu.Lock()
			c.received = append(c.received, mail)
			c.mu.Unlock()
			goesOn = say(".", "250 kept")
		case "QUIT":
			say(command, "221 bye")
			return
		default:
			goesOn = say(command, "502 unknown")
		}
	}
}

func readContent(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return b.String(), err
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

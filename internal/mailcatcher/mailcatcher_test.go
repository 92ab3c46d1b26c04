package mailcatcher_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/metrum-ai/licensing-portal/internal/mailcatcher"
)

const twoPart = "From: Licensing <licensing@demo.example>\r\n" +
	"To: ada@example.org\r\n" +
	"Subject: =?UTF-8?q?Your_license_is_ready_=E2=80=93_ord=5F1?=\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=cut\r\n\r\n" +
	"--cut\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"Open http://localhost:8080/orders/o1?a=3D1&b=3D<2>.\r\n..dots =E2=9C=93\r\n" +
	"--cut\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
	"PCFkb2N0eXBlIGh0bWw+PGh0bWw+PGhlYWQ+PC9oZWFkPjxib2R5PjxhIGhyZWY9Imh0dHA6Ly9s\r\nb2NhbGhvc3Q6ODA4MC8iPk9wZW48L2E+PC9ib2R5PjwvaHRtbD4=\r\n" +
	"--cut\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=x.txt\r\n\r\nattached\r\n" +
	"--cut--\r\n"

type fixture struct {
	*mailcatcher.Catcher
	smtp string
	web  string
}

func start(t *testing.T, cfg mailcatcher.Config) *fixture {
	t.Helper()
	c, err := mailcatcher.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.ServeSMTP(ln) }()
	web := httptest.NewServer(c.Handler())
	t.Cleanup(func() {
		web.Close()
		c.Close()
		if err := <-done; err != nil {
			t.Errorf("ServeSMTP: %v", err)
		}
	})
	return &fixture{Catcher: c, smtp: ln.Addr().String(), web: web.URL}
}

func (f *fixture) send(t *testing.T, body string, to ...string) {
	t.Helper()
	if err := smtp.SendMail(f.smtp, nil, "portal@demo.example", to, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) get(t *testing.T, path string) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.Get(f.web + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func (f *fixture) page(t *testing.T, path string) *goquery.Document {
	t.Helper()
	resp, body := f.get(t, path)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", path, resp.Status)
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestAMailIsReadAsItsReaderSeesIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	f := start(t, mailcatcher.Config{Clock: func() time.Time { return at }})
	f.send(t, twoPart, "ada@example.org", "bob@example.org")

	_, body := f.get(t, "/api/mails")
	var mails []map[string]any
	if err := json.Unmarshal(body, &mails); err != nil {
		t.Fatal(err)
	}
	if len(mails) != 1 {
		t.Fatalf("%d mails, want 1", len(mails))
	}
	for name, want := range map[string]string{
		"id":         "000001",
		"to":         "ada@example.org, bob@example.org",
		"recipients": "[ada@example.org bob@example.org]",
		"from":       "Licensing <licensing@demo.example>",
		"subject":    "Your license is ready – ord_1",
		"text":       "Open http://localhost:8080/orders/o1?a=1&b=<2>.\n..dots ✓",
		"html":       `<!doctype html><html><head></head><body><a href="http://localhost:8080/">Open</a></body></html>`,
		"date":       "2026-03-04T05:06:07Z",
	} {
		if got := fmt.Sprint(mails[0][name]); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestMailsOfEveryShapeAreShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, subject, text, html string }{
		"plain":             {"Subject: s\r\n\r\nhello\r\n", "s", "hello\n", ""},
		"html only":         {"Subject: s\r\nContent-Type: text/html\r\n\r\n<p>hi\r\n", "s", "", "<p>hi\n"},
		"latin-1":           {"Content-Type: text/plain; charset=ISO-8859-1\r\n\r\ncaf\xe9\r\n", "", "café\n", ""},
		"invalid UTF-8":     {"Subject: s\r\n\r\na\xffb\r\n", "s", "a\uFFFDb\n", ""},
		"not a mail":        {"no header at all\r\n", "", "no header at all\n", ""},
		"unknown type":      {"Content-Type: application/x-thing\r\n\r\nbytes\r\n", "", "bytes\n", ""},
		"broken type":       {"Content-Type: ;;;\r\n\r\nbytes\r\n", "", "bytes\n", ""},
		"boundary missing":  {"Content-Type: multipart/mixed\r\n\r\nbytes\r\n", "", "bytes\n", ""},
		"cut short":         {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhalf", "", "half", ""},
		"nested":            {"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\nin\r\n--i--\r\n--o--\r\n", "", "in", ""},
		"too deep to enter": {strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 9) + "\r\ndeep\r\n", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, mailcatcher.Config{})
			f.send(t, c.raw, "ada@example.org")
			m := f.Mails()[0]
			if name == "too deep to enter" {
				if !strings.Contains(m.Text, "deep") { // it falls back to the raw body
					t.Errorf("text %q hides the mail", m.Text)
				}
				return
			}
			if m.Subject != c.subject || m.Text != c.text || m.HTML != c.html {
				t.Errorf("got %q, %q, %q; want %q, %q, %q", m.Subject, m.Text, m.HTML, c.subject, c.text, c.html)
			}
		})
	}
}

func TestMailsOutliveARestartAndTheOldestGo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	at := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)
	first := start(t, mailcatcher.Config{Dir: dir, Keep: 3, Clock: func() time.Time { return at }})
	first.send(t, twoPart, "ada@example.org", "bob@example.org")
	for i := range 2 {
		first.send(t, fmt.Sprintf("Subject: number %d\r\n\r\nx\r\n", i), "ada@example.org")
	}
	before := first.Mails()

	second := start(t, mailcatcher.Config{Dir: dir, Keep: 3})
	if got, want := asJSON(t, second.Mails()), asJSON(t, before); got != want {
		t.Errorf("after a restart\n%s\nwant\n%s", got, want)
	}
	second.send(t, "Subject: the newest\r\n\r\nx\r\n", "ada@example.org")
	mails := second.Mails()
	if len(mails) != 3 || mails[0].Subject != "the newest" || mails[0].ID != "000004" || mails[2].ID != "000002" {
		t.Errorf("kept %s", asJSON(t, mails))
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 {
		t.Errorf("files %v, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}
}

func TestADamagedFileHidesNoOtherMail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, mailcatcher.Config{Dir: dir}).send(t, twoPart, "ada@example.org")
	if err := os.WriteFile(filepath.Join(dir, "000007.eml"), []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, mailcatcher.Config{Dir: dir})
	f.send(t, twoPart, "ada@example.org")
	if mails := f.Mails(); len(mails) != 2 || mails[0].ID != "000008" {
		t.Errorf("mails %s", asJSON(t, mails))
	}
}

func TestAMailThatCannotBeKeptIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	f := start(t, mailcatcher.Config{Dir: dir})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	err := smtp.SendMail(f.smtp, nil, "a@b.example", []string{"ada@example.org"}, []byte("Subject: s\r\n\r\nx\r\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "452") {
		t.Errorf("the sender got %v, want 452", err)
	}
	if n := len(f.Mails()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func TestManySendersAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	f := start(t, mailcatcher.Config{Dir: t.TempDir()})
	var wait sync.WaitGroup
	for i := range 60 {
		wait.Go(func() {
			body := fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i)
			if err := smtp.SendMail(f.smtp, nil, "a@b.example", []string{"ada@example.org"}, []byte(body)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	ids, subjects := map[string]bool{}, map[string]bool{}
	for _, m := range f.Mails() {
		ids[m.ID], subjects[m.Subject] = true, true
	}
	if len(ids) != 60 || len(subjects) != 60 {
		t.Errorf("%d ids and %d subjects, want 60", len(ids), len(subjects))
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

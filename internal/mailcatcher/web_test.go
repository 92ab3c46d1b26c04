package mailcatcher_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/mailcatcher"
)

func TestPagesListMailsNewestFirstAndShowEach(t *testing.T) {
	t.Parallel()
	f := start(t, mailcatcher.Config{})
	if got := f.page(t, "/").Find(".empty").Text(); !strings.HasPrefix(got, "No mail yet.") {
		t.Errorf("the empty list says %q", got)
	}
	f.send(t, twoPart, "ada@example.org")
	f.send(t, "Subject: <script>alert(1)</script>\r\n\r\nx\r\n", "bob@example.org")

	list := f.page(t, "/")
	if got := list.Find(".mails li").Length(); got != 2 {
		t.Fatalf("%d rows, want 2", got)
	}
	if got := list.Find(".mails li").First().Find("strong").Text(); got != "<script>alert(1)</script>" {
		t.Errorf("first subject %q", got)
	}
	if list.Find("script").Length() != 0 {
		t.Error("a subject became markup")
	}
	href, _ := list.Find(".mails li").Last().Find("a").Attr("href")
	mail := f.page(t, href)
	if got, _ := mail.Find("pre a").Attr("href"); got != "http://localhost:8080/orders/o1?a=1&b=" {
		t.Errorf("the link in the text leads to %q", got)
	}
	if got := mail.Find("pre").Text(); !strings.Contains(got, "b=<2>.\n..dots ✓") {
		t.Errorf("the text reads %q", got)
	}
	frame, _ := mail.Find("iframe").Attr("src")
	resp, body := f.get(t, frame)
	if want := `<head><base target="_blank"></head>`; !strings.Contains(string(body), want) {
		t.Errorf("the HTML part %q lacks %s", body, want)
	}
	policy := resp.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "sandbox allow-popups") {
		t.Errorf("the HTML part's policy is %q", policy)
	}
}

func TestTheInterfaceForTestsFindsMails(t *testing.T) {
	t.Parallel()
	f := start(t, mailcatcher.Config{})
	if _, body := f.get(t, "/api/mails"); strings.TrimSpace(string(body)) != "[]" {
		t.Errorf("no mails are %q, want an empty list", body)
	}
	f.send(t, twoPart, "ada@example.org")
	f.send(t, twoPart, "bob@example.org")
	_, body := f.get(t, "/api/mails?to=ADA@example.org")
	var mails []mailcatcher.Mail
	if err := json.Unmarshal(body, &mails); err != nil {
		t.Fatal(err)
	}
	if len(mails) != 1 || mails[0].To != "ada@example.org" {
		t.Errorf("mails to ada: %s", body)
	}
	_, body = f.get(t, "/api/mails/"+mails[0].ID)
	var one mailcatcher.Mail
	if err := json.Unmarshal(body, &one); err != nil || one.ID != mails[0].ID {
		t.Errorf("one mail: %s, %v", body, err)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	f := start(t, mailcatcher.Config{})
	f.send(t, "Subject: s\r\n\r\nplain only\r\n", "ada@example.org")
	for _, path := range []string{"/mails/9", "/mails/000001/html", "/mails/..%2f", "/api/mails/9", "/other"} {
		if resp, _ := f.get(t, path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
	resp, err := http.Post(f.web+"/api/mails", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}

func TestPagesAnswerToThisMachinesNamesOnly(t *testing.T) {
	t.Parallel()
	f := start(t, mailcatcher.Config{})
	for host, want := range map[string]int{
		"localhost:8083": 200, "localhost": 200, "127.0.0.1:1": 200, "[::1]:8083": 200, "[::1]": 200,
		"mails.attacker.example": 421, "localhost.attacker.example:8083": 421,
	} {
		req, err := http.NewRequest(http.MethodGet, f.web+"/api/mails", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %s: %d, want %d", host, resp.StatusCode, want)
		}
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("other origins may read mails: %q", got)
		}
	}
}

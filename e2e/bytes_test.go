package e2e

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

func TestEveryCopyOfALicenseIsTheSameBytesAlsoAfterTheDatabaseWasLost(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	p := customer(t, d)
	order := p.buy(pack5, "router", "card_ok")
	lic := p.licenseID()
	file := readDownload(t, p.download("Download license.json"))

	p.open("/licenses/" + lic)
	p.follow("Make a link")
	link := regexp.MustCompile(`https?://\S+/d/\S+`).FindString(p.text())
	if link == "" {
		t.Fatalf("no link on the page:\n%s", p.text())
	}
	// Opening it, as mail scanners do, spends nothing and hands out nothing.
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet} {
		if status, body, _ := request(t, method, link, nil, nil); status != http.StatusOK || bytes.Contains(body, []byte(`"signature"`)) {
			t.Fatalf("%s of the link: %d", method, status)
		}
	}
	status, byLink, header := request(t, http.MethodPost, link, nil, nil)
	if status != http.StatusOK || !bytes.Equal(byLink, file) {
		t.Fatalf("the link answers %d and other bytes than the page", status)
	}
	if got := header.Get("Content-Disposition"); !strings.Contains(got, `license.json`) {
		t.Fatalf("Content-Disposition is %q", got)
	}
	stored := d.query(t, `SELECT encode(envelope, 'base64') FROM issuances WHERE license_id = $1`, lic)
	inDatabase, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(stored, "\n", ""))
	if err != nil || !bytes.Equal(inDatabase, file) {
		t.Fatalf("the database holds other bytes (%v)", err)
	}
	entries := d.logEntries(t)
	if len(entries) != 1 || entries[0].Envelope != string(file) {
		t.Fatal("the signer's log holds other bytes")
	}

	// The link ends when its maker revokes it.
	p.open("/licenses/" + lic)
	p.press(`form[action$="/revoke"] button`)
	if status, body, _ := request(t, http.MethodPost, link, nil, nil); status != http.StatusGone || bytes.Contains(body, []byte(`"signature"`)) {
		t.Fatalf("a revoked link answers %d", status)
	}

	// The database is lost.
	d.signal(t, "portal", syscall.SIGSTOP)
	d.signal(t, "worker", syscall.SIGSTOP)
	d.exec(t, `DROP SCHEMA public CASCADE`, `CREATE SCHEMA public`, `DROP SCHEMA river CASCADE`)
	env := []string{"DATABASE_URL=" + d.info.DatabaseURL, "SIGNER_SOCKET=" + d.info.SignerSocket}
	for _, command := range []string{"migrate", "restore"} {
		if out, errs, code := d.tool(t, append(env, d.portalEnv(t)...), "portal", command); code != 0 {
			t.Fatalf("portal %s: exit %d\n%s%s", command, code, out, errs)
		}
	}
	d.kill(t, "portal")
	d.kill(t, "worker")
	d.healthy(t)

	var events struct {
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	d.control(t, http.MethodGet, "/_sim/events", nil, &events)
	for _, e := range events.Events {
		d.control(t, http.MethodPost, "/_sim/events/"+e.ID+"/deliver", map[string]any{"copies": 2}, nil)
	}
	again := newPerson(t, d, p.email)
	again.askToSignIn()
	again.open(again.signInLink())
	again.press(`form[action="/sign-in/confirm"] button`)
	again.open("/orders/" + order)
	again.sees(ready)
	if after := readDownload(t, again.download("Download license.json")); !bytes.Equal(after, file) {
		t.Fatal("after the restore the file has other bytes")
	}
	if got := again.licenses(); len(got) != 1 || got[0] != lic {
		t.Fatalf("after the restore the licenses are %v", got)
	}
	if n := d.logSize(t); n != 1 {
		t.Fatalf("%d leaves in the signer's log", n)
	}
}

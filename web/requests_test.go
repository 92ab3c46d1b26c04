package web_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

func TestARequestIsShownWholeAndItsPasskeyIsAskedOverTheDigest(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := s.browser().get("/staff/requests/" + fake.RequestToken)
	opened, err := fake.Requests{Services: s.services}.Open(t.Context(), fake.RequestToken)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.doc().Find("#request-text").Text(); got != opened.Text {
		t.Errorf("the text is %q", got)
	}
	if got := r.text("#request-digest"); got != opened.Digest {
		t.Errorf("the digest is %q", got)
	}
	r.has("h1", "Replace a license")
	r.has("main", "The company's name was misspelled in the order.")
	r.has("main", "by Ada Lovelace, 23 Nov 2026, 12:12 UTC")
	r.has("main", "1 approval by others, 1 missing")
	r.has("main", "The old file is superseded in the revocation bundle from 1 Dec 2026, 12:10 UTC")
	r.has("table", "Halden Robotics GmbH & Co. KG")
	r.has("form[data-passkey] button", "Approve this with your passkey")
	var options struct {
		Challenge, RPID, UserVerification string
		AllowCredentials                  []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(r.doc().Find(`form[data-passkey="get"]`).AttrOr("data-options", "")), &options); err != nil {
		t.Fatal(err)
	}
	digest, err := hex.DecodeString(opened.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if options.Challenge != base64.RawURLEncoding.EncodeToString(digest) || options.RPID != "localhost" ||
		options.UserVerification != "required" || len(options.AllowCredentials) != 2 || options.AllowCredentials[0].ID != "AAAA" {
		t.Errorf("options %+v", options)
	}
	s.browser().get("/staff/requests/"+fake.RequestDrafted).has("form[data-passkey] button", "Propose this with your passkey")
}

func TestARequestSaysWhereItStands(t *testing.T) {
	t.Parallel()
	b := open(t).browser()
	for link, want := range map[string]struct {
		note   string
		button bool
	}{
		fake.RequestToken:   {"It waits for 1 approval", true},
		fake.RequestDrafted: {"It waits for its proposer", true},
		fake.RequestRevoke:  {"It waits for 1 approval", true},
		fake.RequestRotate:  {"It waits for 2 approvals", true},
		fake.RequestDone:    {"License lic_preview was issued", false},
		fake.RequestRefused: {"signer-revoked: The signer refused", false},
		fake.RequestOver:    {"This request expired on 23 Nov 2026, 12:10 UTC", false},
	} {
		r := b.get("/staff/requests/" + link)
		r.has(".note", want.note)
		if got := r.doc().Find("form[data-passkey]").Length() == 1; r.status != 200 || got != want.button || r.doc().Find(".note").Length() != 1 {
			t.Errorf("%s: %d, button %t", link, r.status, got)
		}
	}
	b.get("/staff/requests/"+fake.RequestRevoke).has("main", "Routers that are given the bundle refuse it, for good")
	b.get("/staff/requests/"+fake.RequestRevoke).has("main", "An offline router notices nothing of it until it is given the bundle")
	b.get("/staff/requests/"+fake.RequestRotate).has("main", "12 are left now")
	for link, status := range map[string]int{fake.RequestOldLink: 410, "unknown": 404} {
		for _, r := range []reply{b.get("/staff/requests/" + link), b.post("/staff/requests/"+link, url.Values{"credential": {fake.GoodPasskey}})} {
			if r.status != status || strings.Contains(r.body, "data-passkey") || strings.Contains(r.body, "request-text") {
				t.Errorf("%s: %d", link, r.status)
			}
		}
	}
}

func TestStandingByARequestIsOneButtonAndItsMistakesAreTold(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	path := "/staff/requests/" + fake.RequestToken
	before := s.services.Changes()
	for answer, want := range map[string]struct {
		status int
		words  string
	}{
		fake.PasskeyOfProposer: {403, "Someone else must approve this. You proposed it at 12:10 UTC"},
		fake.PasskeyOfStranger: {403, "That passkey is not in the trust bundle"},
		fake.PasskeyOfFinance:  {403, "Your role may not approve this request"},
		"{}":                   {400, "does not prove that you stand by this text"},
	} {
		r := b.post(path, url.Values{"credential": {answer}})
		r.has(".errors", want.words)
		r.has("title", "Error: ")
		if r.status != want.status || r.doc().Find("form[data-passkey]").Length() != 1 {
			t.Errorf("%s: %d", answer, r.status)
		}
	}
	for link, words := range map[string]string{fake.RequestDone: "It is decided already", fake.RequestOver: "It expired before you approved it"} {
		r := b.post("/staff/requests/"+link, url.Values{"credential": {fake.GoodPasskey}})
		if r.has(".errors", words); r.status != 409 {
			t.Errorf("%s: %d", link, r.status)
		}
	}
	if s.services.Changes() != before {
		t.Error("a refused assertion changed something")
	}
	b.post(path, url.Values{"credential": {fake.GoodPasskey}}).goes(303, path)
	if s.services.Changes() != before+1 {
		t.Error("the assertion was not taken once")
	}
	if r := b.do("POST", path, url.Values{"credential": {fake.GoodPasskey}}, "Sec-Fetch-Site", "cross-site"); r.status != 403 {
		t.Errorf("from another site: %d", r.status)
	}
	if strings.Contains(s.log.String(), fake.RequestToken) {
		t.Error("the log holds a link")
	}
}

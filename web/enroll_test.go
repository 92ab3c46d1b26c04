package web_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

func TestEnrollmentAsksForAPasskeyThatVerifiesItsUser(t *testing.T) {
	t.Parallel()
	b := open(t).browser()
	r := b.get("/staff/enroll/" + fake.EnrollToken)
	r.has("main", "Ada Lovelace")
	r.has("main", "approver: proposes, and approves what others propose")
	form := r.doc().Find(`form[data-passkey="create"]`)
	var options struct {
		Challenge              string
		RP                     struct{ ID string }
		User                   struct{ ID, Name string }
		PubKeyCredParams       []struct{ Alg int }
		ExcludeCredentials     []struct{ ID string }
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
		Attestation            string
	}
	if err := json.Unmarshal([]byte(form.AttrOr("data-options", "")), &options); err != nil {
		t.Fatal(err)
	}
	if len(options.Challenge) != 43 || options.RP.ID != "localhost" || len(options.User.ID) != 43 || options.User.Name != "Ada Lovelace (approver)" ||
		len(options.PubKeyCredParams) != 2 || options.PubKeyCredParams[0].Alg != -7 || options.PubKeyCredParams[1].Alg != -8 ||
		len(options.ExcludeCredentials) != 1 || options.AuthenticatorSelection.UserVerification != "required" ||
		options.AuthenticatorSelection.ResidentKey != "preferred" || options.Attestation != "none" {
		t.Errorf("options %+v", options)
	}
	if _, hidden := form.Find("button").Attr("hidden"); !hidden || form.Find("noscript").Length() != 1 {
		t.Error("without scripts the page has a button that does nothing")
	}
	if r.doc().Find(`script[src*="passkey."]`).Length() != 1 {
		t.Error("the page lacks its script")
	}
}

func TestEnrollmentShowsTheRecordAndThatItApprovesNothing(t *testing.T) {
	t.Parallel()
	b := open(t).browser()
	r := b.post("/staff/enroll/"+fake.EnrollToken, url.Values{"credential": {fake.GoodPasskey}})
	r.has(".note", "Nothing is approved by it yet")
	r.has(".note", "Only when the root holders have signed a trust bundle that names it")
	var record trust.Approver
	if err := json.Unmarshal([]byte(r.doc().Find("#record").Text()), &record); err != nil {
		t.Fatal(err)
	}
	if record.Name != "Ada Lovelace" || record.Role != trust.RoleApprover || record.CredentialID == "" || record.PublicKeyBase64 == "" {
		t.Errorf("record %+v", record)
	}
	if r.doc().Find(`clipboard-copy[for="record"]`).Length() != 1 || strings.Contains(r.body, "data-passkey") {
		t.Error("the record cannot be copied, or the page asks for another passkey")
	}
}

func TestEnrollmentSaysWhyThereIsNone(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.browser()
	for link, want := range map[string]struct {
		status     int
		title, why string
	}{
		fake.EnrollExpired:   {410, "This link expired", "It worked until 23 Nov 2026, 12:44 UTC"},
		fake.EnrollElsewhere: {409, "No passkey can be made at this address", "not at http://localhost"},
		"unknown":            {404, "We do not know this link", "Copy the whole address"},
	} {
		for _, r := range []reply{b.get("/staff/enroll/" + link), b.post("/staff/enroll/"+link, url.Values{"credential": {fake.GoodPasskey}})} {
			if r.status != want.status || strings.Contains(r.body, "data-passkey") || strings.Contains(r.body, `id="record"`) {
				t.Errorf("%s: %d", link, r.status)
			}
			r.has("h1", want.title)
			r.has("main", want.why)
		}
	}
	r := b.post("/staff/enroll/"+fake.EnrollToken, url.Values{"credential": {"{}"}})
	r.has("title", "Error: ")
	r.has(".errors", "does not prove a passkey that verified you")
	if r.status != 400 || r.doc().Find("form[data-passkey]").Length() != 1 {
		t.Errorf("%d; the button must be there again", r.status)
	}
	if strings.Contains(s.log.String(), fake.EnrollToken) {
		t.Error("the log holds a link")
	}
}

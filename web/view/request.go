package view

import (
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/license"
)

// RequestTitle says what a request asks for.
func RequestTitle(r fulfillment.StaffRequest) string {
	switch r.Action {
	case approval.ActionIssue:
		return "Issue an order against its invoice"
	case approval.ActionReplace:
		return "Replace a license"
	case approval.ActionRotate:
		return "Replace the licenses of a key"
	}
	return "Change the revocation bundle"
}

// assertionOptions is what navigator.credentials.get is given, with bytes in base64url
// (https://www.w3.org/TR/webauthn-3/#dictdef-publickeycredentialrequestoptionsjson). The challenge is the text's digest.
func assertionOptions(o fulfillment.Opened) string {
	return options(map[string]any{
		"challenge": encoded(approval.Digest(o.Text)), "rpId": o.Passkeys.RPID, "allowCredentials": credentials(o.IDs),
		"timeout": passkeyPatience, "userVerification": "required",
	})
}

// passkeyVerb is what the button says.
func passkeyVerb(r fulfillment.StaffRequest) string {
	if len(r.Stands) == 0 {
		return "Propose this with your passkey"
	}
	return "Approve this with your passkey"
}

// requestNote is a page's one notice: what a request waits for, or what came of it.
type requestNote struct{ kind, title, text string }

func noteOf(p RequestPage) requestNote {
	r := p.Opened
	switch r.Standing(p.Now) {
	case fulfillment.RequestExpired:
		return requestNote{"warn", "This request expired on " + Stamp(r.ExpiresAt()), "It was not approved within 24 hours. Propose it again."}
	case fulfillment.RequestRefused:
		return requestNote{"bad", "The signer refused", r.Refusal.Code + ": " + r.Refusal.Detail}
	case fulfillment.RequestDone:
		return requestNote{"ok", "It is done", outcome(r.StaffRequest)}
	case fulfillment.RequestApproved:
		return requestNote{"info", "It is approved and being carried out", "Open this page again to see what came of it. " + progress(r.Rotation)}
	}
	if r.Refused != "" {
		return requestNote{"bad", "Nobody can approve this as it stands", r.Refused}
	}
	if r.Standing(p.Now) == fulfillment.RequestDrafted {
		return requestNote{"info", "It waits for its proposer", r.Proposer + " must stand by it first, then others approve it."}
	}
	return requestNote{"info", "It waits for " + Count(int64(r.Missing()), "approval"), "Anybody but " + r.Proposer + " who may approve it can. The signer checks every passkey again."}
}

func outcome(r fulfillment.StaffRequest) string {
	switch {
	case r.Rotate != nil:
		return progress(r.Rotation)
	case r.LicenseID != "":
		return "License " + r.LicenseID + " was issued."
	case r.Epoch > 0:
		return fmt.Sprintf("The revocation bundle of epoch %d says it.", r.Epoch)
	}
	return "There was nothing left to do."
}

func progress(p fulfillment.RotationProgress) string {
	if p.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s replaced, %s passed over, %s refused, %s to do.", Number(int64(p.Replaced)),
		Count(int64(p.Total), "license"), Number(int64(p.Passed)), Number(int64(p.Refused)), Number(int64(p.Open())))
}

// mayStandNow reports whether the page has its button.
func mayStandNow(p RequestPage) bool {
	switch p.Opened.Standing(p.Now) {
	case fulfillment.RequestDrafted, fulfillment.RequestWaiting:
		return p.Opened.Refused == "" && len(p.Opened.IDs) > 0
	}
	return false
}

// rotationWords says what a rotation does.
func rotationWords(o fulfillment.Opened) string {
	words := "Every live license that is signed with `" + o.Rotate.KeyID + "` is replaced once, " + Count(int64(o.Rotate.AtMost), "license") + " at most."
	if o.Rehearsal.Live > 0 {
		words += " " + Number(int64(o.Rehearsal.Live)) + " are left now."
	}
	words += " The new ones differ in key, ID and time of issue alone."
	if o.Rehearsal.NewKeyID != "" {
		words += " They are signed with `" + o.Rehearsal.NewKeyID + "`."
	}
	return words + " The members of each organization are told by mail. The old files work as before."
}

// revocationEffect says what a change of the revocation bundle means.
func revocationEffect(v approval.Revocation) string {
	switch v.Status {
	case approval.StatusReinstated:
		return "Routers take it again once they are given the next bundle."
	case license.StatusSuspended:
		return "Routers that are given the bundle refuse it until a later one leaves it out."
	case license.StatusSuperseded:
		return "Routers that are given the bundle refuse it; its successor must be installed by then."
	}
	return "Routers that are given the bundle refuse it, for good."
}

func effectiveFrom(v approval.Revocation, created time.Time) string {
	if v.EffectiveAt.IsZero() || !v.EffectiveAt.After(created) {
		return "at once"
	}
	return "from " + Stamp(v.EffectiveAt)
}

// SelfApproval says why a proposer's passkey does not approve.
func SelfApproval(r fulfillment.StaffRequest) string {
	return "Someone else must approve this. You proposed it at " + r.CreatedAt.UTC().Format("15:04") + nbsp + "UTC"
}

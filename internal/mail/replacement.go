package mail

import (
	"context"
	"net/url"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// replacements are what mails about a replacement are about, and why there is one, by the request's reason.
var replacements = map[approval.Reason]struct{ subject, why string }{
	approval.ReasonCorrection:    {"Your corrected license is ready", "A mistake in the old license is corrected"},
	approval.ReasonLostFile:      {"Your corrected license is ready", "The old file was never right"},
	approval.ReasonScopeChange:   {"Your changed license is ready", "What the license covers has changed"},
	approval.ReasonExtension:     {"Your extended license is ready", "The license is extended"},
	approval.ReasonLeakedFile:    {"Your new license is ready", "The old file leaked"},
	approval.ReasonKeyRotation:   {"Your license is signed with a new key", "We changed our signing key; nothing else about the license is different"},
	approval.ReasonKeyCompromise: {"Your license is signed with a new key", "The key that signed the old license is no longer safe; nothing else about the license is different"},
}

type replacementData struct {
	Heading, Link, Package, Deployment, LicenseID, Replaces, Reason, Expires, ExpiresRFC3339, Superseded, SupersededRFC3339 string
}

// SendReplacement tells a member of an organization that another license is ready in the place of one; it implements
// fulfillment.ReplacementMailer. Errors as in SendSignIn.
func (s *Sender) SendReplacement(ctx context.Context, m fulfillment.ReplacementMail) error {
	return s.send(ctx, s.replacement(m))
}

func (s *Sender) replacement(m fulfillment.ReplacementMail) message {
	about, ok := replacements[m.Reason]
	if !ok {
		about = replacements[approval.ReasonScopeChange]
	}
	data := replacementData{
		Heading: about.subject, Link: s.publicURL + "/licenses/" + url.PathEscape(m.LicenseID),
		Package: oneLine(m.PackageName), Deployment: oneLine(m.DeploymentName), LicenseID: m.LicenseID, Replaces: m.Replaces, Reason: about.why,
		Expires: moment(m.ExpiresAt), ExpiresRFC3339: m.ExpiresAt.UTC().Format(time.RFC3339),
	}
	if !m.SupersededAt.IsZero() {
		data.Superseded, data.SupersededRFC3339 = moment(m.SupersededAt), m.SupersededAt.UTC().Format(time.RFC3339)
	}
	return message{to: m.To, kind: "replacement", ref: m.LicenseID + "." + m.UserID, subject: about.subject, data: data}
}

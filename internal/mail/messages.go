package mail

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

type signInData struct{ Link, Code, Until, UntilRFC3339 string }

// SendSignIn sends the link and the code of a sign-in. An error other than ErrAddress or a permanent *DeliveryError is
// worth another try.
func (s *Sender) SendSignIn(ctx context.Context, m account.Mail) error {
	return s.send(ctx, s.signIn(m))
}

func (s *Sender) signIn(m account.Mail) message {
	return message{
		to: m.Email, kind: "sign-in", ref: m.SignInID, subject: "Sign in to the license portal",
		data: signInData{
			Link:  s.publicURL + "/sign-in/confirm?t=" + url.QueryEscape(m.Token),
			Code:  m.Code,
			Until: moment(m.ExpiresAt), UntilRFC3339: m.ExpiresAt.UTC().Format(time.RFC3339),
		},
	}
}

// standingSubjects are what mails about a license's standing are about, by its status.
var standingSubjects = map[string]string{
	"revoked": "Your license was revoked", "suspended": "Your license is suspended", "reinstated": "Your license is in force again",
}

type standingData struct{ Status, Heading, Link, Package, Deployment, LicenseID, Reason, Effective, EffectiveRFC3339 string }

// SendStanding tells a customer that a license was revoked, suspended or reinstated; it implements
// fulfillment.StandingMailer. Errors as in SendSignIn.
func (s *Sender) SendStanding(ctx context.Context, m fulfillment.StandingMail) error {
	return s.send(ctx, s.standing(m))
}

func (s *Sender) standing(m fulfillment.StandingMail) message {
	subject := standingSubjects[m.Status]
	return message{
		to: m.To, kind: "standing", ref: m.LicenseID + "." + strconv.FormatInt(m.Epoch, 10), subject: subject,
		data: standingData{
			Status: m.Status, Heading: subject, Link: s.publicURL + "/licenses/" + url.PathEscape(m.LicenseID),
			Package: oneLine(m.PackageName), Deployment: oneLine(m.DeploymentName), LicenseID: m.LicenseID,
			Reason:    sentence(oneLine(fulfillment.WithdrawalWords(m.Reason))),
			Effective: moment(m.EffectiveAt), EffectiveRFC3339: m.EffectiveAt.UTC().Format(time.RFC3339),
		},
	}
}

type readyData struct{ Link, Package, Deployment, LicenseID, OrderID, Expires, ExpiresRFC3339 string }

// SendReady tells a buyer that the license is ready; it implements fulfillment.Mailer. Errors as in SendSignIn.
func (s *Sender) SendReady(ctx context.Context, m fulfillment.ReadyMail) error {
	return s.send(ctx, s.ready(m))
}

func (s *Sender) ready(m fulfillment.ReadyMail) message {
	return message{
		to: m.To, kind: "ready", ref: m.OrderID, subject: "Your license is ready",
		data: readyData{
			Link:    s.publicURL + "/orders/" + url.PathEscape(m.OrderID),
			Package: oneLine(m.PackageName), Deployment: oneLine(m.DeploymentName),
			LicenseID: m.LicenseID, OrderID: m.OrderID,
			Expires: moment(m.ExpiresAt), ExpiresRFC3339: m.ExpiresAt.UTC().Format(time.RFC3339),
		},
	}
}

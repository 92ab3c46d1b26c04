package jobs

import (
	"context"
	"errors"

	"github.com/riverqueue/river"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/mail"
)

// SignIns answers the mail of a sign-in; account.Service is one.
type SignIns interface {
	SignInMail(ctx context.Context, signInID string) (account.Mail, error)
}

// SignInSender sends it; mail.Sender is one.
type SignInSender interface {
	SendSignIn(ctx context.Context, m account.Mail) error
}

// sendSignIn mails a sign-in, unless it was used or has expired meanwhile. The mail is made when the job runs, so that no
// link or code is ever stored.
func sendSignIn(ctx context.Context, signIns SignIns, sender SignInSender, signInID string) error {
	m, err := signIns.SignInMail(ctx, signInID)
	switch {
	case errors.Is(err, account.ErrLinkUnknown), errors.Is(err, account.ErrLinkUsed), errors.Is(err, account.ErrLinkExpired):
		return nil
	case err != nil:
		return err
	}
	return undeliverable(sender.SendSignIn(ctx, m))
}

// undeliverable gives up a mail that no further try will deliver.
func undeliverable(err error) error {
	delivery, ok := errors.AsType[*mail.DeliveryError](err)
	if errors.Is(err, mail.ErrAddress) || (ok && delivery.Permanent) {
		return river.JobCancel(err)
	}
	return err
}

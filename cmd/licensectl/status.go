package main

import (
	"context"
	"errors"
	"flag"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const statusHelp = `
Usage: licensectl status -router URL [-admin-user NAME] -admin-password-file FILE [-json]

Shows the safe fields that a running router reports at /admin/license/status. Exit status 0 says that the router
serves; where it does not, the status code comes first on standard error and the exit status is 1.
`

func status(ctx context.Context, args []string, out *output) error {
	flags := flag.NewFlagSet("status", flag.ContinueOnError)
	var named routerFlags
	named.register(flags)
	if _, err := parse(flags, args, statusHelp, nothing, out); err != nil {
		return err
	}
	router, err := named.mustOpen()
	if err != nil {
		return err
	}
	answer, err := router.status(ctx)
	if err != nil {
		return err
	}
	printStatus(out, answer, " ("+distance(time.Until(answer.ExpiresAt))+")")
	if answer.Status != license.CodeValid && answer.Status != license.CodeGrace {
		return errors.Join(out.object(answer), &license.Error{Code: answer.Status, Reason: answer.Reason})
	}
	return out.object(answer)
}

// mustOpen is open for a command that is about a router.
func (f routerFlags) mustOpen() (*router, error) {
	if f.url == "" {
		return nil, usagef("-router URL is missing: which router to ask")
	}
	return f.open()
}

// printStatus writes the safe fields, with a remark behind the expiry.
func printStatus(out *output, s license.SafeStatus, remark string) {
	out.field("license_id", s.LicenseID)
	out.field("sku", s.SKU)
	out.field("key_id", s.KeyID)
	expiry := "none"
	if !s.ExpiresAt.IsZero() {
		expiry = moment(s.ExpiresAt) + remark
	}
	out.field("expires_at", expiry)
	out.field("status", string(s.Status))
	out.field("reason", s.Reason)
	out.field("grace", yesNo(s.GraceActive))
	out.field("router", s.RouterVersion)
}

func yesNo(b bool) string {
	if b {
		return "active"
	}
	return "not active"
}

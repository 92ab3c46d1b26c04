package main

import (
	"context"
	"fmt"

	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

func (p program) staffEnroll(ctx context.Context, args []string) error {
	flags := newFlags("staff enroll -name NAME -role issuer|approver|finance")
	name := flags.String("name", "", "whose passkey")
	role := flags.String("role", "", "issuer, approver or finance")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *name == "" || *role == "" {
		return fmt.Errorf("%w: staff enroll -name NAME -role issuer|approver|finance", errUsage)
	}
	a, err := p.open(ctx, config.Links|config.Signer)
	if err != nil {
		return err
	}
	enrollment, err := a.enrollment()
	if err != nil {
		return err
	}
	address, until, err := enrollment.Invite(*name, trust.Role(*role))
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	fmt.Fprintf(p.stdout, "%s\n\nworks until %s; give it to %s alone, who makes the passkey there\n", address, until.Format("15:04 UTC on 2 Jan 2006"), *name)
	return nil
}

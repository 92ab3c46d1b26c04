package fulfillment

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

// IssueCommand is what staff type to propose an order's license. Who they are and why are theirs to fill in; what was agreed is
// the order's.
func IssueCommand(orderID, invoiceID string, why approval.Reason) string {
	return fmt.Sprintf("portal staff propose issue %s -invoice %s -reason %s -by '…' -why '…'", orderID, invoiceID, why)
}

// fill takes from a request's subject what its text says of it, and puts lists into the order of the text.
func (s *Requests) fill(ctx context.Context, r *approval.Request) error {
	switch {
	case r.Action == approval.ActionIssue && r.Issue != nil:
		return s.fillIssue(ctx, r.Issue)
	case r.Action == approval.ActionReplace && r.Replace != nil:
		return s.fillReplace(ctx, r.Replace)
	case r.Action == approval.ActionRotate && r.Rotate != nil && r.Rotate.AtMost == 0:
		live, err := s.c.Subjects.LiveUnder(ctx, r.Rotate.KeyID, s.c.Now())
		r.Rotate.AtMost = max(live, 1) // none is refused later, in words
		return err
	case r.Action == approval.ActionRevoke:
		for i := range r.Revoke {
			if v := &r.Revoke[i]; v.EffectiveAt.IsZero() && v.Status != approval.StatusReinstated {
				v.EffectiveAt = r.CreatedAt
			}
		}
		slices.SortFunc(r.Revoke, func(a, b approval.Revocation) int { return strings.Compare(a.LicenseID, b.LicenseID) })
	}
	return nil
}

func (s *Requests) fillIssue(ctx context.Context, i *approval.Issue) error {
	record, err := s.order(ctx, i.Intent.OrderID)
	if err != nil {
		return err
	}
	i.Intent = record.Snapshot.Intent
	if i.Contract.Empty() { // what the quote agreed, unless something else is asked for
		i.Contract = record.Snapshot.Contract
		i.Contract.Limits, i.Contract.AddFeatures = slices.Clone(i.Contract.Limits), slices.Clone(i.Contract.AddFeatures)
	}
	slices.Sort(i.Contract.AddFeatures)
	sortLimits(i.Contract.Limits, func(l catalog.Limit) string { return l.Name })
	return nil
}

func (s *Requests) fillReplace(ctx context.Context, ask *approval.Replace) error {
	base, err := s.license(ctx, ask.BaseID)
	if err != nil {
		return err
	}
	p := base.Payload
	ask.BaseSHA256, ask.CustomerID, ask.SKU = base.SHA256, p.CustomerID, p.SKU
	c := &ask.Changes
	if !c.ExpiresAt.New.IsZero() {
		c.ExpiresAt.Old = p.ExpiresAt.UTC()
	}
	if c.CustomerName.New != "" {
		c.CustomerName.Old = p.CustomerName
	}
	if c.Notes.New != "" {
		c.Notes.Old = p.Notes
	}
	for i := range c.Limits {
		if limit := catalog.LimitOf(&p.Limits, c.Limits[i].Name); limit != nil {
			c.Limits[i].Old = *limit
		}
	}
	slices.Sort(c.Environments)
	slices.Sort(c.Features)
	if c.Fingerprints != nil {
		slices.Sort(*c.Fingerprints)
	}
	sortLimits(c.Limits, func(l catalog.LimitChange) string { return l.Name })
	return nil
}

// sortLimits puts limits into the order of the text; names that are none stay for the text's own check.
func sortLimits[T any](limits []T, name func(T) string) {
	order := catalog.LimitNames()
	slices.SortStableFunc(limits, func(a, b T) int {
		return cmp.Compare(slices.Index(order, name(a)), slices.Index(order, name(b)))
	})
}

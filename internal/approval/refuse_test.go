package approval_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/license"
)

// TestTextRefusesWhatBreaksARule builds requests that no text could be read as.
func TestTextRefusesWhatBreaksARule(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		of     string
		change func(*approval.Request)
	}{
		"nothing to ask":          {"issue", func(r *approval.Request) { r.Issue = nil }},
		"two things to ask":       {"issue", func(r *approval.Request) { r.Rotate = &approval.Rotate{KeyID: "k", AtMost: 1} }},
		"another action":          {"issue", func(r *approval.Request) { r.Action = approval.ActionReplace }},
		"no action":               {"revoke", func(r *approval.Request) { r.Action = "" }},
		"a list beside it":        {"rotate", func(r *approval.Request) { r.Revoke = make([]approval.Revocation, 1) }},
		"an empty list":           {"revoke", func(r *approval.Request) { r.Revoke = nil }},
		"a newline in a text":     {"rotate", func(r *approval.Request) { r.Explanation = "The customer asked\nat_most 100000" }},
		"a newline in a name":     {"rotate", func(r *approval.Request) { r.Proposer = "Ines\naction rotate" }},
		"a newline in a ticket":   {"rotate", func(r *approval.Request) { r.Ticket = "SUP\n17" }},
		"a newline in a key ID":   {"rotate", func(r *approval.Request) { r.Rotate.KeyID = "k\nat_most 9" }},
		"a newline in an ID":      {"rotate", func(r *approval.Request) { r.ID = "req_1\n" }},
		"a newline in an invoice": {"issue", func(r *approval.Request) { r.Issue.Invoice = "in_1\n" }},
		"a newline in notes":      {"issue", func(r *approval.Request) { r.Issue.Contract.Notes = "a\nb" }},
		"a newline in old notes": {"replace", func(r *approval.Request) {
			r.Replace.Changes.Notes = catalog.TextChange{Old: "a\nb", New: "c"}
		}},
		"a newline in an environment": {"replace", func(r *approval.Request) { r.Replace.Changes.Environments = []string{"a\nb"} }},
		"a newline in a fingerprint":  {"replace", func(r *approval.Request) { r.Replace.Changes.Fingerprints = &[]string{"a\nb"} }},
		"a newline in a template":     {"replace", func(r *approval.Request) { r.Replace.Template = "a@1\nb" }},
		"a newline in a license ID":   {"revoke", func(r *approval.Request) { r.Revoke[0].LicenseID = "lic_a\nb" }},
		"an explanation too short":    {"rotate", func(r *approval.Request) { r.Explanation = strings.Repeat("x", 19) }},
		"an explanation too long":     {"rotate", func(r *approval.Request) { r.Explanation = strings.Repeat("é", 501) }},
		"a time of no whole second":   {"rotate", func(r *approval.Request) { r.CreatedAt = now.Add(time.Millisecond) }},
		"a time of another zone":      {"rotate", func(r *approval.Request) { r.CreatedAt = now.In(time.FixedZone("x", 3600)) }},
		"no time":                     {"rotate", func(r *approval.Request) { r.CreatedAt = time.Time{} }},
		"a bound of none":             {"rotate", func(r *approval.Request) { r.Rotate.AtMost = 0 }},
		"a bound too high":            {"rotate", func(r *approval.Request) { r.Rotate.AtMost = 100_001 }},
		"an intent that is none":      {"issue", func(r *approval.Request) { r.Issue.Intent.OrderID = "17" }},
		"a contract of another zone": {"issue", func(r *approval.Request) {
			r.Issue.Contract.ExpiresAt = now.In(time.FixedZone("x", 3600))
		}},
		"a contract that ended in 1969": {"issue", func(r *approval.Request) {
			r.Issue.Contract.ExpiresAt = time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)
		}},
		"notes too long": {"issue", func(r *approval.Request) { r.Issue.Contract.Notes = strings.Repeat("x", 501) }},
		"too many fingerprints": {"replace", func(r *approval.Request) {
			list := make([]string, 101)
			for i := range list {
				list[i] = fmt.Sprintf("fp:%03d", i)
			}
			r.Replace.Changes.Fingerprints = &list
		}},
		"too many licenses": {"revoke", func(r *approval.Request) {
			r.Revoke = nil
			for i := range 201 {
				r.Revoke = append(r.Revoke, approval.Revocation{LicenseID: fmt.Sprintf("lic_%03d", i), Status: approval.StatusReinstated})
			}
		}},
		"a text too long": {"revoke", func(r *approval.Request) {
			r.Revoke = nil
			for i := range 200 {
				long := fmt.Sprintf("lic_%03d%s", i, strings.Repeat("x", 120))
				r.Revoke = append(r.Revoke, approval.Revocation{
					LicenseID: long, Status: license.StatusSuperseded, EffectiveAt: now, SupersededBy: long[:len(long)-1],
				})
			}
			r.Revoke[0].SupersededBy = "x"
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := requests[c.of](t)
			textOf(t, r)
			c.change(&r)
			if text, err := r.Text(); !errors.Is(err, approval.ErrMalformed) || text != "" {
				t.Errorf("got %v and\n%s", err, text)
			}
		})
	}
}

func TestEveryActionHasItsReasons(t *testing.T) {
	t.Parallel()
	for name, make := range requests {
		for _, action := range []approval.Action{approval.ActionIssue, approval.ActionReplace, approval.ActionRotate, approval.ActionRevoke, "x"} {
			for _, reason := range approval.Reasons(action) {
				r := make(t)
				r.Reason = reason
				_, err := r.Text()
				shared := action != r.Action && slices.Contains(approval.Reasons(r.Action), reason)
				if (err == nil) != (action == r.Action || shared) {
					t.Errorf("%s with %s of %s: %v", name, reason, action, err)
				}
			}
		}
	}
}

func TestAFulfillmentKeyIsTheOrdersOrTheDigests(t *testing.T) {
	t.Parallel()
	issue, replace, rotate := issueRequest(t), replaceRequest(t), rotateRequest(t)
	hex := func(r approval.Request) string { return fmt.Sprintf("%x", approval.Digest(textOf(t, r))) }
	for name, c := range map[string]struct{ got, want string }{
		"issue":      {issue.FulfillmentKey(""), "ord_1"},
		"replace":    {replace.FulfillmentKey(replace.Replace.BaseID), "req:" + hex(replace)},
		"rotate one": {rotate.FulfillmentKey("lic_a"), "req:" + hex(rotate) + "/lic_a"},
		"the next":   {rotate.FulfillmentKey("lic_b"), "req:" + hex(rotate) + "/lic_b"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

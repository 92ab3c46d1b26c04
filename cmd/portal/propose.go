package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// proposing reads "propose ACTION SUBJECT… flags" into a request.
type proposing struct {
	request approval.Request
	keyFile string
	// What flags are read into before the action takes it.
	status, supersededBy string
	effective            time.Time
	fingerprints         []string
	unbound              bool
	limits               []catalog.Limit
}

const proposeUse = "staff propose replace LICENSE, revoke LICENSE…, issue ORDER or rotate KEY"

func parseProposal(args []string) (proposing, error) {
	var p proposing
	if len(args) == 0 {
		return p, fmt.Errorf("%w: %s", errUsage, proposeUse)
	}
	action, args := approval.Action(args[0]), args[1:]
	var subjects []string
	if asksForHelp(args) {
		subjects = []string{""} // the flags are the same for each
	}
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		subjects, args = append(subjects, args[0]), args[1:]
	}
	p.request.Action = action
	flags := newFlags("staff propose " + string(action) + " SUBJECT flags")
	p.common(flags)
	switch {
	case action == approval.ActionReplace && len(subjects) == 1:
		p.replace(flags, subjects[0])
	case action == approval.ActionRevoke && len(subjects) > 0:
		p.revoke(flags)
	case action == approval.ActionIssue && len(subjects) == 1:
		p.issue(flags, subjects[0])
	case action == approval.ActionRotate && len(subjects) == 1:
		p.request.Rotate = &approval.Rotate{KeyID: subjects[0]}
		flags.IntVar(&p.request.Rotate.AtMost, "at-most", 0, "so many `licenses`; as many as there are without it")
	default:
		return p, fmt.Errorf("%w: %s", errUsage, proposeUse)
	}
	if err := parse(flags, args); err != nil {
		return p, err
	}
	p.finish(subjects)
	return p, nil
}

func (p *proposing) common(flags *flag.FlagSet) {
	r := &p.request
	flags.StringVar(&r.Proposer, "by", "", "the proposer's `name` in the trust bundle; -key tells it too")
	flags.StringVar((*string)(&r.Reason), "reason", "", "one of: "+reasonWords(r.Action))
	flags.StringVar(&r.Explanation, "why", "", "the explanation, a `text` of 20 to 500 characters")
	flags.StringVar(&r.Ticket, "ticket", "", "`reference`")
	flags.StringVar(&p.keyFile, "key", "", "`file` of a software approver, of a demo")
}

func reasonWords(action approval.Action) string {
	var words []string
	for _, r := range approval.Reasons(action) {
		words = append(words, string(r))
	}
	return strings.Join(words, ", ")
}

func (p *proposing) replace(flags *flag.FlagSet, licenseID string) {
	ask := &approval.Replace{BaseID: licenseID}
	p.request.Replace = ask
	c := &ask.Changes
	timeVar(flags, &c.ExpiresAt.New, "expires", "new expiry, `2026-12-20T09:00:00Z`")
	flags.StringVar(&c.CustomerName.New, "customer-name", "", "new `name`")
	flags.StringVar(&c.Notes.New, "notes", "", "new `text`")
	flags.StringVar(&ask.Template, "template", "", "package to move to, `SKU@VERSION`")
	listVar(flags, &c.Environments, "environments", "the whole new list, `a,b`")
	listVar(flags, &c.Features, "features", "the whole new list, `a,b`")
	flags.Func("fingerprint", "one of the whole new list; again for each", func(v string) error {
		p.fingerprints = append(p.fingerprints, v)
		return nil
	})
	flags.BoolVar(&p.unbound, "no-fingerprints", false, "take the binding to instances away")
	p.limitVar(flags)
	timeVar(flags, &ask.SupersedeAt, "supersede", "when the old one goes into the revocation bundle, `2026-12-20T09:00:00Z`")
}

func (p *proposing) revoke(flags *flag.FlagSet) {
	flags.StringVar(&p.status, "status", "", "revoked, suspended, superseded or reinstated")
	timeVar(flags, &p.effective, "effective", "from when on, `2026-12-20T09:00:00Z`; at once without it")
	flags.StringVar(&p.supersededBy, "superseded-by", "", "`license` that supersedes")
}

func (p *proposing) issue(flags *flag.FlagSet, orderID string) {
	ask := &approval.Issue{Intent: catalog.Intent{OrderID: orderID}}
	p.request.Issue = ask
	flags.StringVar(&ask.Invoice, "invoice", "", "at Stripe, `in_…`")
	timeVar(flags, &ask.Contract.ExpiresAt, "expires", "by contract, `2026-12-20T09:00:00Z`")
	listVar(flags, &ask.Contract.AddFeatures, "add-features", "by contract, `a,b`")
	flags.StringVar(&ask.Contract.Notes, "notes", "", "`text`")
	p.limitVar(flags)
}

func (p *proposing) limitVar(flags *flag.FlagSet) {
	flags.Func("limit", "`NAME=VALUE`, 0 for none; again for each", func(v string) error {
		name, text, _ := strings.Cut(v, "=")
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("not NAME=VALUE")
		}
		p.limits = append(p.limits, catalog.Limit{Name: name, Value: value})
		return nil
	})
}

func timeVar(flags *flag.FlagSet, to *time.Time, name, use string) {
	flags.Func(name, use, func(v string) error {
		at, err := time.Parse(time.RFC3339, v)
		if err != nil || at.Nanosecond() != 0 {
			return errors.New("not a time like 2026-12-20T09:00:00Z")
		}
		*to = at.UTC()
		return nil
	})
}

func listVar(flags *flag.FlagSet, to *[]string, name, use string) {
	flags.Func(name, use, func(v string) error {
		*to = strings.Split(v, ",")
		return nil
	})
}

// finish puts what several flags tell together.
func (p *proposing) finish(subjects []string) {
	switch r := &p.request; r.Action {
	case approval.ActionReplace:
		if p.unbound || len(p.fingerprints) > 0 {
			list := append([]string{}, p.fingerprints...)
			r.Replace.Changes.Fingerprints = &list
		}
		for _, l := range p.limits {
			r.Replace.Changes.Limits = append(r.Replace.Changes.Limits, catalog.LimitChange{Name: l.Name, New: l.Value})
		}
	case approval.ActionIssue:
		r.Issue.Contract.Limits = p.limits
	case approval.ActionRevoke:
		for _, id := range subjects {
			r.Revoke = append(r.Revoke, approval.Revocation{LicenseID: id, Status: p.status, EffectiveAt: p.effective, SupersededBy: p.supersededBy})
		}
	}
}

func (p program) staffPropose(ctx context.Context, args []string) error {
	asked, err := parseProposal(args)
	if err != nil {
		return err
	}
	d, err := p.desk(ctx, asked.keyFile)
	if err != nil {
		return err
	}
	defer d.Close()
	if d.key != nil && asked.request.Proposer == "" {
		if asked.request.Proposer, err = d.owner(ctx); err != nil {
			return err
		}
	}
	if asked.request.Proposer == "" {
		return fmt.Errorf("%w: -by NAME says who proposes, where -key does not", errUsage)
	}
	r, err := d.requests.Propose(ctx, asked.request)
	if err != nil {
		return err
	}
	return p.stand(ctx, d, r, "")
}

func (p program) staffApprove(ctx context.Context, args []string) error {
	id, args, err := requestArgument("approve", args)
	if err != nil {
		return err
	}
	flags := newFlags("staff approve REQ [-key FILE [-digest HEX]]")
	keyFile := flags.String("key", "", "file of a software approver")
	digest := flags.String("digest", "", "the digest of what is approved")
	if err := parse(flags, args); err != nil {
		return err
	}
	d, err := p.desk(ctx, *keyFile)
	if err != nil {
		return err
	}
	defer d.Close()
	r, err := d.requests.Request(ctx, id)
	if err != nil {
		return requestWords(err, r)
	}
	return p.stand(ctx, d, r, *digest)
}

// requestArgument takes the request's ID from before the flags.
func requestArgument(command string, args []string) (id string, rest []string, err error) {
	if asksForHelp(args) {
		return "", args, nil
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return "", nil, fmt.Errorf("%w: staff %s REQ", errUsage, command)
	}
	return args[0], args[1:], nil
}

// desk is what the commands of staff's requests work with.
type desk struct {
	*parts
	requests *fulfillment.Requests
	key      *software.Key // nil without a key file
}

// stand prints a request whole and stands by it with the key, once whoever reads it agrees; without one it prints the link.
func (p program) stand(ctx context.Context, d *desk, r fulfillment.StaffRequest, digest string) error {
	fmt.Fprintf(p.stdout, "%s\ndigest %s\n", r.Text, r.Digest)
	if d.key == nil {
		return p.printLink(d.requests, r.ID)
	}
	bundle, err := d.catalog.Bundle(ctx)
	if err != nil {
		return err
	}
	if err := p.agreed(r, digest); err != nil {
		return err
	}
	a, err := d.key.Assert(bundle.WebAuthn, approval.Digest(r.Text))
	if err != nil {
		return err
	}
	if r, err = d.requests.Stand(ctx, r.ID, a); err != nil {
		return requestWords(err, r)
	}
	fmt.Fprintf(p.stdout, "%s: %s\n", r.ID, standingWords(r, time.Now()))
	return nil
}

// agreed asks for the digest, or for a yes that somebody types.
func (p program) agreed(r fulfillment.StaffRequest, digest string) error {
	if digest != "" {
		if !strings.EqualFold(digest, r.Digest) {
			return errors.New("-digest is that of another text; nothing was asserted")
		}
		return nil
	}
	fmt.Fprint(p.stdout, "\nDo you stand by this text? Type yes: ")
	line, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		fmt.Fprintln(p.stdout)
		return errors.New("not agreed; nothing was asserted")
	}
	return nil
}

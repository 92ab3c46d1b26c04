package approval

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/license"
)

// Bounds of a request beside those of the catalog. Texts are in bytes, but for the explanation.
const (
	maxName            = 100
	maxID              = 128
	minExplanation     = 20  // characters
	maxExplanation     = 500 // characters
	maxOld             = 4096
	maxRotated         = 100_000
	maxRevocations     = 200
	supersedeAfter     = 7 * 24 * time.Hour // customers need that long to install the new file
	effectiveWithin    = 366 * 24 * time.Hour
	maxExplanationText = 4 * maxExplanation // bytes
)

var (
	requestID = regexp.MustCompile(`^req_[0-9A-Za-z]{1,64}$`)
	invoiceID = regexp.MustCompile(`^in_[0-9A-Za-z]{1,128}$`)
	hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

	errTooLong = fmt.Errorf("%w: the text is longer than %d bytes", ErrMalformed, MaxTextBytes)
)

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// check applies the rules that need nothing but the request. Its errors say what to mend, for whoever proposes.
func (r Request) check() error {
	explained := utf8.RuneCountInString(r.Explanation)
	switch {
	case !requestID.MatchString(r.ID):
		return malformed("its ID is not req_ and letters or digits")
	case !catalog.PlainText(r.Proposer, maxName):
		return malformed("it does not say who proposes it")
	case !whole(r.CreatedAt):
		return malformed("created_at is not in whole seconds UTC")
	case !r.Reason.of(r.Action):
		return malformed("the action is unknown, or the reason is not one of its")
	case explained < minExplanation || explained > maxExplanation || !catalog.PlainText(r.Explanation, maxExplanationText):
		return malformed(fmt.Sprintf("the explanation is not one line of plain text of %d to %d characters", minExplanation, maxExplanation))
	case r.Ticket != "" && !catalog.PlainText(r.Ticket, maxName):
		return malformed("the ticket is not one line of plain text")
	case (r.Issue != nil) != (r.Action == ActionIssue), (r.Replace != nil) != (r.Action == ActionReplace),
		(r.Rotate != nil) != (r.Action == ActionRotate), (len(r.Revoke) > 0) != (r.Action == ActionRevoke):
		return malformed("it does not hold what its action asks for, and that alone")
	}
	switch r.Action {
	case ActionIssue:
		return r.checkIssue()
	case ActionReplace:
		return r.checkReplace()
	case ActionRotate:
		if !catalog.PlainText(r.Rotate.KeyID, maxID) || r.Rotate.AtMost < 1 || r.Rotate.AtMost > maxRotated {
			return malformed(fmt.Sprintf("a rotation names the old key and at most %d licenses", maxRotated))
		}
		return nil
	default:
		return r.checkRevoke()
	}
}

// whole reports whether the text can hold a time. One that is not UTC is the same time in another spelling.
func whole(t time.Time) bool {
	return t.Year() >= 1970 && t.Year() <= 9999 && t.Location() == time.UTC && t.Nanosecond() == 0
}

func (r Request) checkIssue() error {
	if _, err := catalog.ParseIntent(r.Issue.Intent.Metadata()); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !invoiceID.MatchString(r.Issue.Invoice) {
		return malformed("the invoice is not in_ and letters or digits")
	}
	if err := r.Issue.Contract.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if at := r.Issue.Contract.ExpiresAt; !at.IsZero() && !whole(at) {
		return malformed("expires_at is not in whole seconds UTC")
	}
	return nil
}

func (r Request) checkReplace() error {
	ask := r.Replace
	if err := ask.Changes.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c, at, soonest := ask.Changes, ask.SupersedeAt, r.CreatedAt.Add(supersedeAfter)
	if r.Reason == ReasonLeakedFile {
		soonest = r.CreatedAt
	}
	switch {
	case !catalog.PlainText(ask.BaseID, maxID) || !hexDigest.MatchString(ask.BaseSHA256):
		return malformed("it does not name its base and the SHA-256 of the base's file")
	case !catalog.PlainText(ask.CustomerID, maxID) || !catalog.PlainText(ask.SKU, maxID):
		return malformed("it does not name the base's customer and SKU")
	case ask.Template != "" && !catalog.PlainText(ask.Template, maxID):
		return malformed("its template is not sku@version")
	case !c.ExpiresAt.New.IsZero() && (!whole(c.ExpiresAt.Old) || !whole(c.ExpiresAt.New)):
		return malformed("a time is not in whole seconds UTC")
	case !old(ask.CustomerName) || !old(c.CustomerName.Old) || !old(c.Notes.Old):
		return malformed("the base's name or notes are not one line of plain text, so no request can show them")
	case r.Reason == ReasonLeakedFile && at.IsZero():
		return malformed("what replaces a leaked file supersedes it")
	case !at.IsZero() && (!whole(at) || at.Before(soonest) || at.After(r.CreatedAt.Add(effectiveWithin))):
		return malformed("supersede_at is not 7 days to a year ahead (a leaked file's may be at once)")
	}
	return nil
}

// old reports whether the text can hold a value of the base, or nothing for it.
func old(value string) bool { return value == "" || catalog.PlainText(value, maxOld) }

func (r Request) checkRevoke() error {
	if len(r.Revoke) > maxRevocations {
		return fmt.Errorf("%w: it names more than %d licenses", ErrMalformed, maxRevocations)
	}
	sorted := slices.IsSortedFunc(r.Revoke, func(a, b Revocation) int { return strings.Compare(a.LicenseID, b.LicenseID) })
	for i, entry := range r.Revoke {
		if !sorted || i > 0 && entry.LicenseID == r.Revoke[i-1].LicenseID {
			return malformed("the licenses are not sorted by ID, or one is named twice")
		}
		if err := entry.check(r.CreatedAt); err != nil {
			return err
		}
	}
	return nil
}

func (v Revocation) check(created time.Time) error {
	at, statuses := v.EffectiveAt, []string{license.StatusRevoked, license.StatusSuspended, license.StatusSuperseded, StatusReinstated}
	switch {
	case !catalog.PlainText(v.LicenseID, maxID) || !slices.Contains(statuses, v.Status):
		return malformed("a license ID or a status is missing or none")
	case v.Status == StatusReinstated && (!at.IsZero() || v.SupersededBy != ""):
		return malformed("a reinstatement has neither date nor successor")
	case v.Status != StatusReinstated && (!whole(at) || at.Before(created) || at.After(created.Add(effectiveWithin))):
		return malformed("effective_at is not from the request's own time to a year ahead")
	case v.SupersededBy != "" && (v.Status != license.StatusSuperseded || v.SupersededBy == v.LicenseID || !catalog.PlainText(v.SupersededBy, maxID)):
		return malformed("superseded_by is another license's, of what is superseded")
	}
	return nil
}

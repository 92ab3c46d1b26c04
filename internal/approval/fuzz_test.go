package approval_test

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// FuzzParse looks for a text that reads as a request of another text.
func FuzzParse(f *testing.F) {
	for _, make := range requests {
		f.Add(textOf(f, make(f)))
	}
	f.Add("licensing-portal staff request v1\nrequest req_1\naction rotate\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := approval.Parse(text)
		if err != nil {
			return
		}
		again, err := r.Text()
		if err != nil || again != text {
			t.Fatalf("%v: %q became %q", err, text, again)
		}
		back, err := approval.Parse(again)
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%v: %+v became %+v", err, r, back)
		}
	})
}

// FuzzAssertion looks for client data or authenticator data that the signer takes under a good signature and go-webauthn does
// not.
func FuzzAssertion(f *testing.F) {
	text, by := "text", edPasskey(f, "Ada", trust.RoleApprover)
	digest := approval.Digest(text)
	good := goodClient(digest)
	f.Add(good, goodData(0x05))
	f.Add(slices.Concat(good[:len(good)-1], []byte(`,"topOrigin":null,"x":[{}]}`)), goodData(0xc5))
	f.Add([]byte(`{"Type":1,"type":"webauthn.get"}`), goodData(0x1d))
	f.Fuzz(func(t *testing.T, client, data []byte) {
		a := by.sign(t, client, data)
		if _, err := approval.Who(bundleOf(by), a, digest); err != nil {
			return
		}
		if err := secondOpinion(t, a, by.entry, relyingParty, digest); err != nil {
			t.Fatalf("go-webauthn says %v of %s and %x", err, client, data)
		}
	})
}

// TestTwoRequestsNeverShareAText draws requests of every shape: one that comes back from its text as it was cannot share the
// text with another.
func TestTwoRequestsNeverShareAText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		want := drawRequest(r)
		text, err := want.Text()
		if err != nil {
			r.Fatalf("%v: %+v", err, want)
		}
		got, err := approval.Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			r.Fatalf("%v\ngot  %+v\nwant %+v\n%s", err, got, want, text)
		}
	})
}

var (
	drawLine = rapid.StringMatching(`[!-~é„語]([ -~é„語]{0,40}[!-~é„語])?`)
	drawID   = rapid.StringMatching(`[0-9A-Za-z]{1,20}`)
	drawWord = rapid.StringMatching(`[a-z][a-z0-9_-]{0,12}`)
)

func drawTime(r *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(r, "time"), 0).UTC()
}

// drawList draws a sorted list without repeats; nil where it is empty.
func drawList(r *rapid.T, of *rapid.Generator[string]) []string {
	list := rapid.SliceOfNDistinct(of, 0, 5, rapid.ID).Draw(r, "list")
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	return list
}

func maybe(r *rapid.T) bool { return rapid.Bool().Draw(r, "maybe") }

func drawRequest(r *rapid.T) approval.Request {
	action := rapid.SampledFrom([]approval.Action{approval.ActionIssue, approval.ActionReplace, approval.ActionRotate, approval.ActionRevoke}).Draw(r, "action")
	q := approval.Request{
		ID: "req_" + drawID.Draw(r, "id"), Action: action, Proposer: drawLine.Draw(r, "proposer"), CreatedAt: drawTime(r),
		Reason:      rapid.SampledFrom(approval.Reasons(action)).Draw(r, "reason"),
		Explanation: rapid.StringMatching(`[!-~語][ -~語]{18,100}[!-~語]`).Draw(r, "explanation"),
	}
	if maybe(r) {
		q.Ticket = drawLine.Draw(r, "ticket")
	}
	switch action {
	case approval.ActionIssue:
		q.Issue = drawIssue(r)
	case approval.ActionReplace:
		q.Replace = drawReplace(r, q)
	case approval.ActionRotate:
		q.Rotate = &approval.Rotate{KeyID: drawLine.Draw(r, "key"), AtMost: rapid.IntRange(1, 100_000).Draw(r, "most")}
	case approval.ActionRevoke:
		for _, id := range rapid.SliceOfNDistinct(drawLine, 1, 5, rapid.ID).Draw(r, "licenses") {
			q.Revoke = append(q.Revoke, drawRevocation(r, id, q.CreatedAt))
		}
		slices.SortFunc(q.Revoke, func(a, b approval.Revocation) int { return strings.Compare(a.LicenseID, b.LicenseID) })
	}
	return q
}

func drawIssue(r *rapid.T) *approval.Issue {
	i := catalog.Intent{
		OrderID: "ord_" + drawID.Draw(r, "order"), Kind: catalog.IssueNew, Template: drawWord.Draw(r, "sku")[:1] + "@" + strconv.Itoa(rapid.IntRange(1, 9).Draw(r, "version")),
		Quantity: rapid.IntRange(1, 9).Draw(r, "quantity"), CustomerID: "cust_" + drawID.Draw(r, "customer"),
		DeploymentID: "dep_" + drawID.Draw(r, "deployment"), Environments: drawList(r, drawWord), Fingerprints: drawList(r, drawLine),
	}
	if maybe(r) {
		i.CustomerName = drawLine.Draw(r, "name")
	}
	if maybe(r) {
		i.Kind, i.BaseID = catalog.IssueRenewal, drawLine.Draw(r, "base")
		i.BaseSHA256 = rapid.StringMatching(`[0-9a-f]{64}`).Draw(r, "sha256")
	}
	issue := &approval.Issue{Intent: i, Invoice: "in_" + drawID.Draw(r, "invoice")}
	if maybe(r) {
		issue.Contract.ExpiresAt = drawTime(r)
	}
	for _, name := range catalog.LimitNames() {
		if maybe(r) {
			issue.Contract.Limits = append(issue.Contract.Limits, catalog.Limit{Name: name, Value: drawNumber(r)})
		}
	}
	issue.Contract.AddFeatures = drawList(r, drawWord)
	if maybe(r) {
		issue.Contract.Notes = drawLine.Draw(r, "notes")
	}
	return issue
}

func drawNumber(r *rapid.T) int64 { return rapid.Int64Range(0, 1<<53-1).Draw(r, "number") }

func drawText(r *rapid.T) (c catalog.TextChange) {
	if maybe(r) {
		c.New = drawLine.Draw(r, "new")
		if maybe(r) {
			c.Old = c.New + "x"
		}
	}
	return c
}

func drawReplace(r *rapid.T, q approval.Request) *approval.Replace {
	ask := &approval.Replace{
		BaseID: drawLine.Draw(r, "base"), BaseSHA256: rapid.StringMatching(`[0-9a-f]{64}`).Draw(r, "sha256"),
		CustomerID: drawLine.Draw(r, "customer"), SKU: drawLine.Draw(r, "sku"),
		Changes: catalog.Changes{
			CustomerName: drawText(r), Environments: drawList(r, drawWord), Features: drawList(r, drawWord), Notes: drawText(r),
		},
	}
	c := &ask.Changes
	if maybe(r) {
		ask.Template, ask.CustomerName = drawLine.Draw(r, "template"), drawLine.Draw(r, "name")
		c.ExpiresAt.Old = drawTime(r)
		c.ExpiresAt.New = c.ExpiresAt.Old.Add(time.Duration(rapid.Int64Range(1, 1e8).Draw(r, "more")) * time.Second)
	}
	if maybe(r) {
		list := append([]string{}, drawList(r, drawLine)...)
		c.Fingerprints = &list
	}
	for _, name := range catalog.LimitNames() {
		if maybe(r) {
			n := drawNumber(r)
			c.Limits = append(c.Limits, catalog.LimitChange{Name: name, Old: n, New: (n + 1) % (1 << 53)})
		}
	}
	if maybe(r) || q.Reason == approval.ReasonLeakedFile {
		ask.SupersedeAt = q.CreatedAt.AddDate(0, 0, rapid.IntRange(7, 360).Draw(r, "days"))
	}
	return ask
}

func drawRevocation(r *rapid.T, id string, created time.Time) approval.Revocation {
	v := approval.Revocation{LicenseID: id}
	v.Status = rapid.SampledFrom([]string{
		license.StatusRevoked, license.StatusSuspended, license.StatusSuperseded, approval.StatusReinstated,
	}).Draw(r, "status")
	if v.Status != approval.StatusReinstated {
		v.EffectiveAt = created.AddDate(0, 0, rapid.IntRange(0, 360).Draw(r, "days"))
	}
	if v.Status == license.StatusSuperseded && maybe(r) {
		v.SupersededBy = id + "x"
	}
	return v
}

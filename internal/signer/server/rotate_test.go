package server

import (
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// secondKey gives the world a second key whose window begins in an hour, and says when it is in force.
func (o *office) secondKey() {
	o.bundle.Keys[0].SignUntil = start.Add(time.Hour)
	o.bundle.Keys = append(o.bundle.Keys, o.newKey("license-2", start.Add(time.Hour), start.AddDate(1, 0, 0)))
}

func (o *office) rotation(atMost int) approval.Request {
	r := o.request(approval.ActionRotate, approval.ReasonKeyRotation)
	r.Rotate = &approval.Rotate{KeyID: "license-1", AtMost: atMost}
	return r
}

func TestLicensesOfAnOldKeyAreReplacedInBulkByTwo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.secondKey()
	o.serve()
	one, two, three := o.mustIssue(paid(pack("ord_1"), 25000)), o.mustIssue(paid(pack("ord_2"), 25000)), o.mustIssue(paid(pack("ord_3"), 25000))
	if _, err := o.issueApproved(o.signed(o.rotation(2), "Bob", "Cleo"), one); code(err) != signer.CodeNoSigningKey {
		t.Errorf("while the old key signs: %v", err)
	}
	o.pass(2 * time.Hour)
	r := o.rotation(2)
	if _, err := o.issueApproved(o.signed(r, "Bob"), one); code(err) != signer.CodeApprovalMissing {
		t.Errorf("by one: %v", err)
	}
	s := o.signed(r, "Bob", "Cleo")
	fresh, err := o.issueApproved(s, one)
	if err != nil {
		t.Fatal(err)
	}
	was, is := o.payload(one), o.payload(fresh)
	is.LicenseID, is.KeyID, is.IssuedAt, is.NotBefore = was.LicenseID, was.KeyID, was.IssuedAt, was.NotBefore
	x, errX := was.Canonical()
	y, errY := is.Canonical()
	if errX != nil || errY != nil || string(x) != string(y) || o.payload(fresh).KeyID != "license-2" {
		t.Errorf("rotation changed more than key, ID and time:\n%s\n%s", x, y)
	}
	if again, err := o.issueApproved(s, one); err != nil || string(again) != string(fresh) {
		t.Errorf("again: %v", err)
	}
	if _, err := o.issueApproved(s, two); err != nil {
		t.Errorf("the second: %v", err)
	}
	if _, err := o.issueApproved(s, three); code(err) != signer.CodeCapExceeded {
		t.Errorf("one more than agreed: %v", err)
	}
	if _, err := o.issueApproved(s, fresh); code(err) == "" {
		t.Error("a license of the new key was rotated")
	}
}

func TestUnderARevokedKeyOnlyWhatIsInTheLogIsABase(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.secondKey()
	o.serve()
	mine := o.mustIssue(paid(pack("ord_1"), 25000))
	stolen := o.private["license-1"]
	o.stop()
	o.bundle.Version++
	o.bundle.Keys[0].Status = trust.KeyRevoked
	delete(o.private, "license-1")
	o.pass(2 * time.Hour)
	o.serve()
	forged := forge(t, mine, stolen)
	s := o.signed(o.rotation(10), "Bob", "Cleo")
	if _, err := o.issueApproved(s, mine); err != nil {
		t.Errorf("a license of ours: %v", err)
	}
	if _, err := o.issueApproved(s, forged); code(err) != signer.CodeBaseInvalid {
		t.Errorf("one that the thief made: %v", err)
	}
	renewal := paid(based("ord_9", catalog.IssueRenewal, "credit-pack-5m@1", forged), 25000)
	renewal.created = o.clock()
	if _, err := o.issue(renewal, forged...); code(err) != signer.CodeBaseInvalid {
		t.Errorf("a renewal of it: %v", err)
	}
}

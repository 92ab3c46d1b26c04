package log

import (
	"errors"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

func revocation(epoch, follows int64, changes ...signer.RevocationChange) Record {
	return Record{
		Kind: KindRevocation, FulfillmentKey: RevocationSetID(epoch), LicenseID: RevocationSetID(epoch), IntentSHA256: "aa",
		Changes: changes, Envelope: []byte("{}"), IssuedAt: noon, Follows: follows,
	}
}

func TestARevocationIsLoggedOnlyOnTheBundleThatItWasDecidedOn(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, newConfig(t))
	for n, step := range []struct {
		epoch, follows int64
		want           error
	}{
		{5, 1, ErrOvertaken}, {5, 0, nil}, {5, 5, ErrConflict}, {4, 5, ErrOvertaken}, {6, 0, ErrOvertaken}, {6, 5, nil}, {9, 6, nil},
	} {
		_, err := l.Append(t.Context(), revocation(step.epoch, step.follows), nil)
		if step.want == ErrConflict && err == nil {
			continue // the same key and intent answers what is logged
		}
		if !errors.Is(err, step.want) {
			t.Errorf("step %d: %v", n, err)
		}
	}
	if s, err := l.Standing(); err != nil || s.Epoch != 9 || s.Bundle.LicenseID != "rvk_9" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTheLogFindsLicensesByPaymentBaseAndID(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	l := mustOpen(t, c)
	one, two, three := record(1), record(2), record(3)
	one.Payment, two.Payment, three.Payment = "pi_1", "pi_12", "pi_1"
	two.BaseID, three.BaseID = one.LicenseID, one.LicenseID
	for _, r := range []Record{one, two, three} {
		if _, err := l.Append(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	change := signer.RevocationChange{LicenseID: one.LicenseID, Status: "suspended", Cause: "dp_1", CausedAt: noon, EffectiveAt: noon}
	other := change
	other.Cause, other.LicenseID = "dp_2", one.LicenseID+"0"
	if _, err := l.Append(t.Context(), revocation(5, 0, change, other), nil); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	l = mustOpen(t, c)
	paid, err := l.PaidBy("pi_1")
	if err != nil || len(paid) != 2 || paid[0].LicenseID != one.LicenseID || paid[1].LicenseID != three.LicenseID {
		t.Errorf("by payment: %+v, %v", paid, err)
	}
	built, err := l.BuiltOn(one.LicenseID)
	if err != nil || len(built) != 2 || built[0].LicenseID != two.LicenseID {
		t.Errorf("by base: %+v, %v", built, err)
	}
	if r, found, err := l.License(two.LicenseID); err != nil || !found || r.Index != 1 {
		t.Errorf("by ID: %+v, %v", r, err)
	}
	if _, found, err := l.License("rvk_5"); err != nil || found {
		t.Error("a revocation bundle was taken for a license")
	}
	causes, err := l.Causes(one.LicenseID)
	if err != nil || len(causes) != 1 || causes["dp_1"].Status != "suspended" {
		t.Errorf("causes: %+v, %v", causes, err)
	}
	if err := l.VerifyAll(t.Context()); err != nil {
		t.Error(err)
	}
}

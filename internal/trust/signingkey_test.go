package trust

import (
	"fmt"
	"testing"
	"time"
)

// TestAKeySignsOnlyInItsTime asks for every state of a key at every edge of its window: a second before, at it, and a second
// after, both for when a license is issued and for when it is signed.
func TestAKeySignsOnlyInItsTime(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	until, late := from.AddDate(1, 0, 0), from.AddDate(1, 0, 0).Add(LateSigning)
	var times []time.Time
	for _, edge := range []time.Time{from, until, late} {
		times = append(times, edge.Add(-time.Second), edge, edge.Add(time.Second))
	}
	times = append(times, from.AddDate(0, 6, 0), from.AddDate(10, 0, 0))
	signed := map[KeyStatus]int{}
	for _, status := range keyStates {
		for _, role := range []string{RoleLicense, RoleRevocation} {
			b := &Bundle{Keys: []Key{{ID: "key", Role: role, Status: status, SignFrom: from, SignUntil: until, VerifyUntil: late}}}
			for _, issuedAt := range times {
				for _, now := range times {
					inside := !issuedAt.Before(from) && issuedAt.Before(until)
					want := false
					switch status {
					case KeySigning:
						want = inside && !now.Before(from) && now.Before(late)
					case KeyVerifyOnly:
						want = inside && !now.Before(until) && now.Before(late)
					}
					key, ok := b.SigningKey(role, issuedAt, now)
					if ok != want || ok != (key.ID == "key") {
						t.Errorf("%s, issued %s, now %s: %v", status, issuedAt, now, ok)
					}
					if other, ok := b.SigningKey(map[string]string{RoleLicense: RoleRevocation, RoleRevocation: RoleLicense}[role], issuedAt, now); ok {
						t.Errorf("%s signs for another role: %v", status, other)
					}
					if ok {
						signed[status]++
					}
				}
			}
		}
	}
	if len(signed) != 2 || signed[KeySigning] == 0 || signed[KeyVerifyOnly] == 0 {
		t.Errorf("what signed: %v", signed)
	}
}

// TestAKeyTakesOverAtItsDate: from one second to the next, without a new bundle.
func TestAKeyTakesOverAtItsDate(t *testing.T) {
	t.Parallel()
	turn := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	b := &Bundle{Keys: []Key{
		{ID: "old", Role: RoleLicense, Status: KeySigning, SignFrom: turn.AddDate(-1, 0, 0), SignUntil: turn},
		{ID: "new", Role: RoleLicense, Status: KeySigning, SignFrom: turn, SignUntil: turn.AddDate(1, 0, 0)},
	}}
	for _, c := range []struct {
		issued, now time.Duration
		want        string
	}{
		{-time.Second, -time.Second, "old"}, {0, 0, "new"}, {time.Second, time.Second, "new"},
		{-time.Second, 0, "old"}, {-time.Second, LateSigning - time.Second, "old"},
		{-time.Second, LateSigning, ""},          // too late for the old key, and never the new one's
		{0, -time.Second, ""},                    // from the future of a clock that is behind
		{-time.Second, 366 * 24 * time.Hour, ""}, // years after
	} {
		key, ok := b.SigningKey(RoleLicense, turn.Add(c.issued), turn.Add(c.now))
		if key.ID != c.want || ok != (c.want != "") {
			t.Errorf("issued %s, now %s: %q, want %q", fmt.Sprint(c.issued), fmt.Sprint(c.now), key.ID, c.want)
		}
	}
}

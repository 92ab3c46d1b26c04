package enforce

import "testing"

// A smaller limit is a debt that those who leave pay, also to the shard that the next one would take its place from.
func TestSmallerLimitIsPaidByThoseWhoLeave(t *testing.T) {
	t.Parallel()
	g := newGate()
	g.resize(3)
	for n := range 3 {
		if !g.enter(0) || g.inside() != int64(n+1) {
			t.Fatalf("%d inside after %d entered", g.inside(), n+1)
		}
	}
	if g.enter(0) || g.enter(1) {
		t.Error("a fourth entered")
	}
	g.resize(1)
	for left := 1; left <= 2; left++ {
		g.leave(0)
		if g.enter(0) || g.enter(1) {
			t.Errorf("one entered after %d of 3 left, and 1 is allowed", left)
		}
	}
	if n := g.inside(); n != 1 {
		t.Errorf("%d inside, want 1", n)
	}
	g.leave(0)
	if !g.enter(1) || g.enter(0) {
		t.Error("the one place is not there, or there are two")
	}
	g.resize(2)
	if !g.enter(0) || g.enter(0) {
		t.Error("the second place is not there, or there is a third")
	}
}

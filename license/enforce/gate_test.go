package enforce

import "testing"

func TestShardsAreAFewForEachProcessor(t *testing.T) {
	t.Parallel()
	for processors, want := range map[int]int{1: 4, 2: 8, 3: 16, 4: 16, 8: 32, 16: 64, 17: 64, 200: 64} {
		if got := shardCount(processors); got != want {
			t.Errorf("%d shards for %d processors, want %d", got, processors, want)
		}
		picker, picked := newPicker(want), map[uint32]bool{}
		for range want {
			picked[*picker.pool.New().(*uint32)] = true
			if n := picker.pick(); int(n) >= want {
				t.Errorf("shard %d of %d", n, want)
			}
		}
		if len(picked) < want/2 {
			t.Errorf("%d processors use %d shards", processors, len(picked))
		}
	}
	if share(1_000, 4) != 500 || share(1_000, 8) != 250 || share(3, 8) != 0 {
		t.Error("a shard's share is not half of what falls to a processor")
	}
}

// A smaller limit is a debt that those who leave pay, also to the shard that the next one would take its place from.
func TestSmallerLimitIsPaidByThoseWhoLeave(t *testing.T) {
	t.Parallel()
	g := newGate(shardCount(2))
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

package enforce

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// busyRouter has a license that bounds everything, counts on disk, and Run beside it, as in production.
func busyRouter(b testing.TB) *router {
	now := time.Now().UTC().Truncate(time.Second)
	r := newRouter(b, func(c *Config) {
		c.Clock = time.Now
		c.State.Path = filepath.Join(filepath.Dir(c.Path), "state")
		c.State.RequestBlock, c.State.TokenBlock = 1_000_000, 1_000_000_000
	})
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.IssuedAt, p.NotBefore, p.ExpiresAt = now, now, now.Add(time.Hour)
		p.Features = []string{"pii_filtering", "routing"}
		p.Limits = license.Limits{MaxTotalRequests: 1 << 50, MaxTotalTokens: 1 << 52, MaxConcurrent: 1000,
			MaxMonthlyRequests: 1 << 50, WindowRequests: 1 << 50, WindowTokens: 1 << 52, WindowDurationSeconds: 3600,
			AllowedSkins: []string{"openai-chat"}}
	}))
	r.run()
	return r
}

var benchRequest = Request{Feature: license.FeatureRouting, Skin: "openai-chat", Tokens: 1_000}

// What a request waits for: it is admitted, and its place given back.
func BenchmarkAdmission(b *testing.B) {
	r := busyRouter(b)
	b.ReportAllocs()
	defer reportCPU(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ticket, err := r.Begin(benchRequest)
			if err != nil {
				b.Error(err)
				return
			}
			ticket.End()
		}
	})
}

// A whole request: admitted, settled and ended, with blocks of a million requests taken from the disk on the way.
func BenchmarkRequest(b *testing.B) {
	r := busyRouter(b)
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		ticket, err := r.Begin(benchRequest)
		if err != nil {
			b.Fatal(err)
		}
		ticket.Settle(900)
		ticket.End()
	}
}

func BenchmarkRequestParallel(b *testing.B) {
	r := busyRouter(b)
	b.ReportAllocs()
	defer reportCPU(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ticket, err := r.Begin(benchRequest)
			if err != nil {
				b.Error(err)
				return
			}
			ticket.Settle(900)
			ticket.End()
		}
	})
}

// The limit of BenchmarkAdmission in the same run: the four atomic writes that it cannot do without (a place, a
// request, its tokens, and the place back), and nothing else.
func BenchmarkAtomicsOfAdmission(b *testing.B) {
	shards := make([]shard, shardCount(runtime.GOMAXPROCS(0)))
	picker := newPicker(len(shards))
	for i := range shards {
		shards[i].requests.Store(unlimited)
		shards[i].tokens.Store(unlimited)
	}
	defer reportCPU(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s := &shards[picker.pick()]
			if !take(&s.requests, 1) || !take(&s.tokens, 1) || !take(&s.requests, 1) || !put(&s.requests, 1) {
				b.Error("empty")
				return
			}
		}
	})
}

// Admission without counting: standing and feature.
func BenchmarkAdmit(b *testing.B) {
	r := busyRouter(b)
	b.ReportAllocs()
	defer reportCPU(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := r.Admit(license.FeatureRouting); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

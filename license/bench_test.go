package license

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"
)

// The two benchmarks are the two sides of one ratio: bytes to verdict, and the one signature check it cannot do
// without. BenchmarkRatio interleaves them and reports the ratio of the medians, which a noisy machine moves less.
func BenchmarkRead(b *testing.B) {
	data, ring := readVector(b, "accept-credit-pack.json"), vectorRing(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(data, ring, vectorNow); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareVerify(b *testing.B) {
	verify := bareVerify(b)
	for b.Loop() {
		verify()
	}
}

func bareVerify(b *testing.B) func() {
	e, err := parseEnvelope(string(readVector(b, "accept-credit-pack.json")))
	if err != nil {
		b.Fatal(err)
	}
	canonical, public := e.payload.appendCanonical(nil), vectorRing(b).Keys()[0].Public
	return func() {
		if !ed25519.Verify(public, canonical, e.signature.value[:]) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkRatio(b *testing.B) {
	data, ring, verify := readVector(b, "accept-credit-pack.json"), vectorRing(b), bareVerify(b)
	var whole, bare []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := Read(data, ring, vectorNow); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		verify()
		whole, bare = append(whole, middle.Sub(start)), append(bare, time.Since(middle))
	}
	slices.Sort(whole)
	slices.Sort(bare)
	b.ReportMetric(float64(whole[len(whole)/2])/float64(bare[len(bare)/2]), "ratio")
}

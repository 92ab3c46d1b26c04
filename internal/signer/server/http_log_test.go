package server

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// grow issues licenses and returns the signed tree after each, index 0 the empty one.
func (w *world) grow(count int) []tlog.Tree {
	w.t.Helper()
	verifier, err := signer.NewLogVerifier("test/log", w.logKey.Public().(ed25519.PublicKey))
	if err != nil {
		w.t.Fatal(err)
	}
	trees := make([]tlog.Tree, 0, count+1)
	for n := range count + 1 {
		if n > 0 {
			w.mustIssue(paid(pack(fmt.Sprintf("ord_%d", n)), 25000))
		}
		note, err := w.client.Checkpoint(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		tree, err := signer.OpenCheckpoint(note, verifier)
		if err != nil || tree.N != int64(n) {
			w.t.Fatalf("checkpoint %d: %+v, %v", n, tree, err)
		}
		trees = append(trees, tree.Tree)
	}
	return trees
}

func TestInclusionProofsVerifyAndAlteredOnesDoNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	trees := w.grow(7)
	page, err := w.client.Entries(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for size := int64(1); size <= 7; size++ {
		for index := range size {
			leaf, err := tlog.ParseHash(page.Entries[index].LeafHash)
			if err != nil {
				t.Fatal(err)
			}
			proof, err := w.client.InclusionProof(t.Context(), uint64(index), uint64(size))
			if err != nil || proof.Index != uint64(index) || proof.Size != uint64(size) {
				t.Fatalf("%d in %d: %+v, %v", index, size, proof, err)
			}
			check := func(p tlog.RecordProof, leaf tlog.Hash) error {
				return tlog.CheckRecord(p, size, trees[size].Hash, index, leaf)
			}
			if err := check(proof.Hashes, leaf); err != nil {
				t.Errorf("%d in %d: %v", index, size, err)
			}
			eachAltered(proof.Hashes, func(altered []tlog.Hash) {
				if check(altered, leaf) == nil {
					t.Errorf("%d in %d: an altered proof verifies", index, size)
				}
			})
			leaf[0] ^= 1
			if check(proof.Hashes, leaf) == nil {
				t.Errorf("%d in %d: the proof holds for another leaf", index, size)
			}
		}
	}
}

func TestConsistencyProofsVerifyAndAlteredOnesDoNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	trees := w.grow(7)
	for to := int64(1); to <= 7; to++ {
		for from := int64(1); from <= to; from++ {
			proof, err := w.client.ConsistencyProof(t.Context(), uint64(from), uint64(to))
			if err != nil || proof.From != uint64(from) || proof.To != uint64(to) {
				t.Fatalf("%d to %d: %+v, %v", from, to, proof, err)
			}
			check := func(p tlog.TreeProof, old tlog.Hash) error {
				return tlog.CheckTree(p, to, trees[to].Hash, from, old)
			}
			if err := check(proof.Hashes, trees[from].Hash); err != nil {
				t.Errorf("%d to %d: %v", from, to, err)
			}
			eachAltered(proof.Hashes, func(altered []tlog.Hash) {
				if check(altered, trees[from].Hash) == nil {
					t.Errorf("%d to %d: an altered proof verifies", from, to)
				}
			})
			if check(proof.Hashes, trees[from-1].Hash) == nil {
				t.Errorf("%d to %d: the proof holds for another history", from, to)
			}
		}
	}
}

// eachAltered hands over the proof with a bit of each hash turned, each hash missing, and one too many.
func eachAltered(proof []tlog.Hash, try func([]tlog.Hash)) {
	for n := range proof {
		turned := slices.Clone(proof)
		turned[n][31] ^= 0x80
		try(turned)
		try(slices.Delete(slices.Clone(proof), n, n+1))
	}
	try(append(slices.Clone(proof), tlog.Hash{}))
}

func TestProofsAreAskedForExactly(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	w.grow(3)
	const inclusion, consistency = "/v1/log/proof/inclusion", "/v1/log/proof/consistency"
	good := []string{inclusion + "?index=0&size=3", inclusion + "?size=1&index=0", consistency + "?from=1&to=3", consistency + "?from=3&to=3"}
	for _, path := range good {
		if status, answer := w.raw("GET", path, ""); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	bad := []string{
		inclusion, inclusion + "?index=0", inclusion + "?index=0&size=4", inclusion + "?index=3&size=3", inclusion + "?index=0&size=0",
		inclusion + "?index=-1&size=3", inclusion + "?index=00&size=3", inclusion + "?index=+1&size=3", inclusion + "?index=0&size=3&x=1",
		inclusion + "?index=0&index=1&size=3", inclusion + "?index=0&size=9223372036854775808", inclusion + "?index=0&size=0x3",
		inclusion + "?from=1&to=3", inclusion + "?index=0;size=3", inclusion + "?Index=0&size=3", inclusion + "?index=0&size=3&%zz",
		inclusion + "?index=0&size=9223372036854775807",
		consistency, consistency + "?from=0&to=3", consistency + "?from=3&to=2", consistency + "?from=1&to=4", consistency + "?from=&to=3",
		consistency + "?from=1&to=3&to=3", consistency + "?from=1&to=9223372036854775807",
	}
	for _, path := range bad {
		status, answer := w.raw("GET", path, "")
		var refusal signer.Error
		if err := json.Unmarshal([]byte(answer), &refusal); status != http.StatusBadRequest || err != nil || refusal.Code != signer.CodeBadRequest {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	if status, _ := w.raw("POST", inclusion+"?index=0&size=3", ""); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", status)
	}
}

func TestALogSourceIsASocketOrAPlainURL(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		"", "unix:", "/run/signer.sock", "ftp://host", "http://", "https://user:pw@host", "https://host/?x=1", "https://host/#x", "host:80",
	} {
		if _, err := signer.NewLogClient(source); err == nil {
			t.Errorf("%q is taken", source)
		}
	}
	w := newWorld(t).serve()
	w.mustIssue(paid(pack("ord_1"), 25000))
	relay := httptest.NewServer(http.StripPrefix("/relay", w.issuer.Handler()))
	defer relay.Close()
	for _, source := range []string{"unix:" + w.dir + "/s", relay.URL + "/relay", relay.URL + "/relay/"} {
		client, err := signer.NewLogClient(source)
		if err != nil {
			t.Fatal(err)
		}
		if page, err := client.Entries(t.Context(), 0); err != nil || page.Size != 1 {
			t.Errorf("%s: %+v, %v", source, page, err)
		}
	}
}

package signer

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		list[i] = s[index]
	}
	return list, nil
}

func TestATreeHasTheRootsOfTheLogsOwn(t *testing.T) {
	t.Parallel()
	var tree Tree
	var stored storedHashes
	for n := int64(0); n <= 300; n++ {
		want, err := tlog.TreeHash(n, stored)
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.Tree(); got.N != n || got.Hash != want {
			t.Fatalf("%d leaves: %+v, want %s", n, got, want)
		}
		leaf := tlog.RecordHash(fmt.Append(nil, n))
		hashes, err := tlog.StoredHashesForRecordHash(n, leaf, stored)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		tree.Add(leaf)
	}
}

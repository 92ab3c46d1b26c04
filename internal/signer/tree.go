package signer

import "golang.org/x/mod/sumdb/tlog"

// Tree makes the root of a log's Merkle tree (RFC 6962) out of its leaves, one after another, in memory that grows with the
// number of levels. Its zero value is the empty tree.
type Tree struct {
	size int64
	edge []tlog.Hash // of the complete subtrees, the largest first
}

// Add adds the next leaf.
func (t *Tree) Add(leaf tlog.Hash) {
	for n := t.size; n&1 == 1; n >>= 1 { // a complete subtree for each bit set
		last := len(t.edge) - 1
		leaf, t.edge = tlog.NodeHash(t.edge[last], leaf), t.edge[:last]
	}
	t.edge = append(t.edge, leaf)
	t.size++
}

// Size is how many leaves were added.
func (t *Tree) Size() int64 { return t.size }

// Tree is what was added so far.
func (t *Tree) Tree() tlog.Tree {
	if t.size == 0 {
		empty, _ := tlog.TreeHash(0, nil) // a constant
		return tlog.Tree{Hash: empty}
	}
	root := t.edge[len(t.edge)-1]
	for n := len(t.edge) - 2; n >= 0; n-- {
		root = tlog.NodeHash(t.edge[n], root)
	}
	return tlog.Tree{N: t.size, Hash: root}
}

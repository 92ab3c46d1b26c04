package log

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrNoTree says that a proof was asked of a record or a tree that the log does not have.
var ErrNoTree = errors.New("the issuance log has no such record or tree")

// ProveInclusion proves that the tree of the first size records holds the record at index; tlog.CheckRecord checks it.
// ErrNoTree unless index < size and the log has size records.
func (l *Log) ProveInclusion(index, size uint64) (proof tlog.RecordProof, err error) {
	if index >= size {
		return nil, ErrNoTree
	}
	err = l.db.View(func(tx *bbolt.Tx) error {
		if size > sizeOf(tx) {
			return ErrNoTree
		}
		proof, err = tlog.ProveRecord(int64(size), int64(index), hashReader{tx})
		return err
	})
	return proof, wrapProof(err)
}

// ProveConsistency proves that the tree of the first to records begins with the tree of the first from records;
// tlog.CheckTree checks it. ErrNoTree unless 0 < from <= to and the log has to records: every tree begins with the empty
// one, so there is nothing to prove from zero.
func (l *Log) ProveConsistency(from, to uint64) (proof tlog.TreeProof, err error) {
	if from == 0 || from > to {
		return nil, ErrNoTree
	}
	err = l.db.View(func(tx *bbolt.Tx) error {
		if to > sizeOf(tx) {
			return ErrNoTree
		}
		proof, err = tlog.ProveTree(int64(to), int64(from), hashReader{tx})
		return err
	})
	return proof, wrapProof(err)
}

func wrapProof(err error) error {
	if err == nil || errors.Is(err, ErrNoTree) {
		return err
	}
	return fmt.Errorf("proof: %w", err)
}

// sizeOf is how many records a transaction sees; a commit after it began is not in it.
func sizeOf(tx *bbolt.Tx) uint64 {
	last, _ := tx.Bucket(bucketRecords).Cursor().Last()
	if last == nil {
		return 0
	}
	return binary.BigEndian.Uint64(last) + 1
}

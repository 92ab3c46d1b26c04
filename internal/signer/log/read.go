package log

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// Size returns how many records are logged.
func (l *Log) Size() uint64 { return uint64(l.state.Load().N) }

// Checkpoint returns the last signed checkpoint.
func (l *Log) Checkpoint() []byte { return append([]byte(nil), l.state.Load().signed...) }

// LastLogged returns when the last record was logged; zero for an empty log.
func (l *Log) LastLogged() time.Time { return l.state.Load().lastLogged }

// Find returns the record under a fulfillment key. Append decides; this only spares it work.
func (l *Log) Find(key string) (r Record, found bool, err error) {
	if err := l.Err(); err != nil {
		return Record{}, false, err
	}
	err = l.db.View(func(tx *bbolt.Tx) error {
		r, found, err = lookup(tx, key)
		return err
	})
	return r, found, err
}

// Count returns a cap counter's count.
func (l *Log) Count(name string) (n uint64, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		n = count(tx, name)
		return nil
	})
	return n, err
}

// Counts returns the counters whose names begin with a prefix, by the rest of their names. It reads as many entries as there
// are such counters, not records.
func (l *Log) Counts(prefix string) (map[string]uint64, error) {
	counts := map[string]uint64{}
	err := l.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketCounters).Cursor()
		for name, raw := c.Seek([]byte(prefix)); bytes.HasPrefix(name, []byte(prefix)); name, raw = c.Next() {
			if len(raw) != 8 {
				return fmt.Errorf("%w: a counter does not read", ErrBroken)
			}
			counts[string(name[len(prefix):])] = binary.BigEndian.Uint64(raw)
		}
		return nil
	})
	return counts, err
}

// Page returns records from an index on: at most maxRecords of them, and no further one once maxBytes are reached. Size is
// the log's at the time of reading.
func (l *Log) Page(from uint64, maxRecords, maxBytes int) (page []Record, size uint64, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		size = sizeOf(tx) // not l.Size(), which may be of a later commit
		for i, bytes := from, 0; i < size && len(page) < maxRecords && bytes < maxBytes; i++ {
			r, err := readRecord(tx, i)
			if err != nil {
				return err
			}
			page = append(page, r)
			bytes += len(r.Event) + len(r.Base) + len(r.Envelope)
		}
		return nil
	})
	return page, size, err
}

// RequireSize refuses a log that is shorter than a trust bundle asks for.
func (l *Log) RequireSize(minimum uint64) error {
	if size := l.Size(); size < minimum {
		return fmt.Errorf("%w: %d records, the trust bundle asks for %d", ErrRollback, size, minimum)
	}
	return nil
}

// VerifyAll reads every record, makes its leaf again and compares hashes, indexes and root. The log stays usable
// meanwhile; what it finds makes the log refuse everything.
func (l *Log) VerifyAll(ctx context.Context) error {
	err := l.verifyAll(ctx.Done())
	if err != nil && ctx.Err() == nil {
		return l.fail(err)
	}
	return err
}

// verifyStep is how many records are read in one transaction, so that none is held open for long.
const verifyStep = 1000

func (l *Log) verifyAll(stop <-chan struct{}) (err error) {
	defer func() {
		if recover() != nil { // bbolt panics on pages that make no sense
			err = fmt.Errorf("%w: pages make no sense", ErrBroken)
		}
	}()
	s := l.state.Load()
	for from := int64(0); from < s.N; from += verifyStep {
		select {
		case <-stop:
			return context.Canceled
		default:
		}
		if err := l.db.View(func(tx *bbolt.Tx) error { return verifyRange(tx, from, min(from+verifyStep, s.N)) }); err != nil {
			return err
		}
	}
	return l.db.View(func(tx *bbolt.Tx) error {
		root, err := tlog.TreeHash(s.N, hashReader{tx})
		if err == nil && root != s.Hash {
			err = fmt.Errorf("%w: the root differs from the checkpoint", ErrBroken)
		}
		return err
	})
}

func verifyRange(tx *bbolt.Tx, from, to int64) error {
	reader := hashReader{tx}
	for i := from; i < to; i++ {
		r, err := readRecord(tx, uint64(i))
		if err != nil {
			return err
		}
		// Every inner node is made again from its children, so that the root speaks for every record.
		want, err := tlog.StoredHashesForRecordHash(i, tlog.RecordHash(r.Leaf()), reader)
		if err != nil {
			return err
		}
		indexes := make([]int64, len(want))
		for n := range want {
			indexes[n] = tlog.StoredHashIndex(0, i) + int64(n)
		}
		have, err := reader.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for n := range want {
			if have[n] != want[n] {
				return fmt.Errorf("%w: record %d does not match its hash", ErrBroken, i)
			}
		}
		byKey, _ := indexOf(tx, bucketKeys, r.FulfillmentKey)
		byLicense, _ := indexOf(tx, bucketLicenses, r.LicenseID)
		if byKey != uint64(i) || byLicense != uint64(i) {
			return fmt.Errorf("%w: record %d is not indexed", ErrBroken, i)
		}
	}
	return nil
}

package log

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// Counter is one cap that a record counts against. A limit of zero lets nothing through.
type Counter struct {
	Name  string
	Limit int
}

// NoLimit makes a counter that only counts.
const NoLimit = -1

type request struct {
	ctx      context.Context
	record   Record
	counters []Counter
	done     chan result
}

type result struct {
	record Record
	err    error
}

// maxGroup bounds the requests of one transaction.
const maxGroup = 64

// Append logs a record and returns it as logged, after the sync. Where the fulfillment key is logged already it returns
// the logged record if the intent is the same, and ErrConflict if it is not. ErrOvertaken says that a revocation was decided
// on an older bundle, ErrCap that a counter is at its limit, ErrClock that the clock is behind the log, ErrFailed that nothing
// can be logged. When ctx ends first the record may still have been logged; asking again tells.
func (l *Log) Append(ctx context.Context, r Record, counters []Counter) (Record, error) {
	if err := checkRecord(r); err != nil {
		return Record{}, err
	}
	req := &request{ctx: ctx, record: r, counters: counters, done: make(chan result, 1)}
	select {
	case l.requests <- req:
	case <-l.stop:
		return Record{}, ErrClosed
	case <-ctx.Done():
		return Record{}, ctx.Err()
	}
	select {
	case res := <-req.done:
		return res.record, res.err
	case <-ctx.Done():
		return Record{}, ctx.Err()
	}
}

// checkRecord keeps newlines out of the leaf's text, and NUL out of the indexes' keys.
func checkRecord(r Record) error {
	if r.Kind == "" || r.FulfillmentKey == "" || r.LicenseID == "" || r.IntentSHA256 == "" {
		return errors.New("record lacks a kind, key, license ID or intent")
	}
	for _, value := range append([]string{r.Kind, r.FulfillmentKey, r.LicenseID, r.IntentSHA256, r.Issuance, r.BaseID, r.Payment}, r.Counters...) {
		if strings.ContainsAny(value, "\r\n\x00") {
			return errors.New("a text of the record holds a newline or NUL")
		}
	}
	return nil
}

// write is the only goroutine that changes the store.
func (l *Log) write() {
	defer l.stopped.Done()
	for {
		select {
		case <-l.stop:
			return
		case first := <-l.requests:
			l.writeGroup(l.gather(first))
		}
	}
}

// gather takes what waits already; it does not wait for more.
func (l *Log) gather(first *request) []*request {
	group := []*request{first}
	for len(group) < maxGroup {
		select {
		case next := <-l.requests:
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

func (l *Log) writeGroup(group []*request) {
	results := make([]result, len(group))
	if err := l.commitGroup(group, results); err != nil {
		for i := range results {
			results[i] = result{err: err}
		}
	}
	for i, req := range group {
		req.done <- results[i]
	}
}

// commitGroup decides each request and writes them in one transaction. An error means that none of them was answered by
// the disk.
func (l *Log) commitGroup(group []*request, results []result) (err error) {
	if err := l.Err(); err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	defer func() {
		if recover() != nil { // bbolt panics on pages that make no sense
			err = l.fail(ErrBroken)
		}
	}()
	tx, err := l.db.Begin(true)
	if err != nil {
		return l.fail(err)
	}
	defer tx.Rollback() // after a commit it does nothing
	next := *l.state.Load()
	for i, req := range group {
		results[i], err = l.decide(tx, &next, req)
		if err != nil {
			return l.fail(err)
		}
	}
	if next.N == l.state.Load().N {
		return nil // nothing new
	}
	if next.Hash, err = tlog.TreeHash(next.N, hashReader{tx}); err != nil {
		return l.fail(err)
	}
	if next.signed, err = putCheckpoint(tx, l.signer, next.Checkpoint); err != nil {
		return l.fail(err)
	}
	if err := l.config.Commit(tx); err != nil {
		return l.fail(err)
	}
	l.state.Store(&next)
	if err := l.noted.write(next.Tree); err != nil {
		l.fail(err) // what was committed stays true, but nothing more is logged unnoted
	}
	return nil
}

// decide refuses or answers a request, or adds its record to the transaction. The error is the store's.
func (l *Log) decide(tx *bbolt.Tx, next *state, req *request) (result, error) {
	if err := req.ctx.Err(); err != nil {
		return result{err: err}, nil
	}
	logged, found, err := lookup(tx, req.record.FulfillmentKey)
	if err != nil {
		return result{}, err
	}
	if found && logged.IntentSHA256 == req.record.IntentSHA256 {
		return result{record: logged}, nil
	}
	if _, taken := indexOf(tx, bucketLicenses, req.record.LicenseID); found || taken {
		return result{err: ErrConflict}, nil
	}
	if req.record.Kind == KindRevocation {
		if ok, err := follows(tx, req.record); err != nil || !ok {
			return result{err: ErrOvertaken}, err
		}
	}
	now := l.config.Now().UTC().Truncate(time.Second)
	if now.Before(next.lastLogged.Add(-MaxClockBehind)) {
		return result{err: ErrClock}, nil
	}
	for _, c := range req.counters {
		if c.Limit != NoLimit && count(tx, c.Name) >= uint64(max(c.Limit, 0)) {
			return result{err: fmt.Errorf("%w: %s", ErrCap, c.Name)}, nil
		}
	}
	r := req.record
	r.Index, r.LoggedAt = uint64(next.N), now
	if r.LoggedAt.Before(next.lastLogged) {
		r.LoggedAt = next.lastLogged // so that a clock cannot creep backwards record by record
	}
	for _, c := range req.counters {
		r.Counters = append(r.Counters, c.Name)
	}
	if err := put(tx, r); err != nil {
		return result{}, err
	}
	next.N++
	next.lastLogged = r.LoggedAt
	return result{record: r}, nil
}

func lookup(tx *bbolt.Tx, key string) (Record, bool, error) {
	index, ok := indexOf(tx, bucketKeys, key)
	if !ok {
		return Record{}, false, nil
	}
	r, err := readRecord(tx, index)
	return r, err == nil, err
}

func count(tx *bbolt.Tx, name string) uint64 {
	raw := tx.Bucket(bucketCounters).Get([]byte(name))
	if len(raw) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(raw)
}

func put(tx *bbolt.Tx, r Record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	hashes, err := tlog.StoredHashesForRecordHash(int64(r.Index), tlog.RecordHash(r.Leaf()), hashReader{tx})
	if err != nil {
		return err
	}
	records, stored := tx.Bucket(bucketRecords), tx.Bucket(bucketHashes)
	records.FillPercent, stored.FillPercent = 0.95, 0.95 // both only grow at their end
	first := uint64(tlog.StoredHashIndex(0, int64(r.Index)))
	for i, h := range hashes {
		if err := stored.Put(number(first+uint64(i)), h[:]); err != nil {
			return err
		}
	}
	for _, name := range r.Counters {
		if err := tx.Bucket(bucketCounters).Put([]byte(name), number(count(tx, name)+1)); err != nil {
			return err
		}
	}
	return errors.Join(
		records.Put(number(r.Index), text),
		tx.Bucket(bucketKeys).Put([]byte(r.FulfillmentKey), number(r.Index)),
		tx.Bucket(bucketLicenses).Put([]byte(r.LicenseID), number(r.Index)),
		index(tx, r),
	)
}

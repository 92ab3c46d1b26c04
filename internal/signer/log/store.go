package log

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// The buckets of the store. Numbers are big-endian, so that keys sort by them.
var (
	bucketMeta     = []byte("meta")       // names below
	bucketRecords  = []byte("records")    // index → Record as JSON
	bucketHashes   = []byte("hashes")     // tlog's stored-hash index → 32 bytes
	bucketKeys     = []byte("by_key")     // fulfillment key → index
	bucketLicenses = []byte("by_license") // license ID → index
	bucketCounters = []byte("counters")   // cap counter → count
	bucketPayments = []byte("by_payment") // payment, NUL, index → index
	bucketBases    = []byte("by_base")    // base's license ID, NUL, index → index
	bucketChanges  = []byte("changes")    // license ID, NUL, cause → its last signer.RevocationChange as JSON
	allBuckets     = [][]byte{
		bucketMeta, bucketRecords, bucketHashes, bucketKeys, bucketLicenses, bucketCounters, bucketPayments, bucketBases, bucketChanges,
	}
)

var (
	metaCheckpoint = []byte("checkpoint") // signed
	metaRevocation = []byte("revocation") // index of the record of the revocation bundle in force
)

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// hashReader reads tlog's stored hashes inside a transaction.
type hashReader struct{ tx *bbolt.Tx }

func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	bucket := r.tx.Bucket(bucketHashes)
	for i, index := range indexes {
		raw := bucket.Get(number(uint64(index)))
		if len(raw) != tlog.HashSize {
			return nil, fmt.Errorf("%w: hash %d is missing", ErrBroken, index)
		}
		list[i] = tlog.Hash(raw)
	}
	return list, nil
}

func readRecord(tx *bbolt.Tx, index uint64) (Record, error) {
	raw := tx.Bucket(bucketRecords).Get(number(index))
	if raw == nil {
		return Record{}, fmt.Errorf("%w: record %d is missing", ErrBroken, index)
	}
	var r Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return Record{}, fmt.Errorf("%w: record %d does not read", ErrBroken, index)
	}
	r.Index = index
	return r, nil
}

func indexOf(tx *bbolt.Tx, bucket []byte, name string) (uint64, bool) {
	raw := tx.Bucket(bucket).Get([]byte(name))
	if len(raw) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(raw), true
}

// checkFileSize refuses a truncated store. bbolt maps the file and would be killed by SIGBUS when it reads beyond the
// end, so the file's size is compared with the newest meta page's high-water mark before it is opened.
func checkFileSize(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return ErrMissing
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	newest := boltMeta{}
	for _, at := range []int64{0, int64(os.Getpagesize()), 4096, 8192, 16384, 65536} {
		if m, ok := readBoltMeta(f, at); ok && (newest.pageSize == 0 || m.txID > newest.txID) {
			newest = m
		}
	}
	if newest.pageSize == 0 {
		return fmt.Errorf("%w: no valid meta page", ErrBroken)
	}
	if pages := uint64(info.Size()) / uint64(newest.pageSize); pages < newest.highWater {
		return fmt.Errorf("%w: the file is truncated", ErrBroken)
	}
	return nil
}

type boltMeta struct {
	pageSize  uint32
	highWater uint64 // pages in use
	txID      uint64
}

// readBoltMeta reads bbolt's meta page at an offset: a page header of 16 bytes, then magic, version, page size, flags,
// root bucket (16), freelist page, high-water mark, transaction ID and an FNV-1a checksum over what stands before it.
func readBoltMeta(f *os.File, at int64) (boltMeta, bool) {
	page := make([]byte, 80)
	if _, err := f.ReadAt(page, at); err != nil {
		return boltMeta{}, false
	}
	order, meta := binary.NativeEndian, page[16:]
	sum := fnv.New64a()
	sum.Write(meta[:56])
	if order.Uint32(meta) != 0xED0CDAED || order.Uint32(meta[4:]) != 2 || order.Uint64(meta[56:]) != sum.Sum64() {
		return boltMeta{}, false
	}
	m := boltMeta{pageSize: order.Uint32(meta[8:]), highWater: order.Uint64(meta[40:]), txID: order.Uint64(meta[48:])}
	return m, m.pageSize != 0
}

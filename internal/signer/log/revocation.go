package log

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// RevocationSetID names the revocation bundle of an epoch.
func RevocationSetID(epoch int64) string { return "rvk_" + strconv.FormatInt(epoch, 10) }

// EpochOf reads the epoch out of a revocation record's ID; 0 where it is none.
func EpochOf(id string) int64 {
	text, ok := strings.CutPrefix(id, "rvk_")
	epoch, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || RevocationSetID(epoch) != id {
		return 0
	}
	return epoch
}

// Standing is what the revocations of the log say together.
type Standing struct {
	Epoch    int64  // of the bundle in force; 0: none was signed yet
	Bundle   Record // its record
	Licenses map[string]Causes
}

// Causes is the last change of a license by what caused it: a charge, a dispute or a staff request.
type Causes map[string]signer.RevocationChange

// Standing returns what the revocations of the log say together.
func (l *Log) Standing() (s Standing, err error) {
	s.Licenses = map[string]Causes{}
	err = l.db.View(func(tx *bbolt.Tx) error {
		if index := tx.Bucket(bucketMeta).Get(metaRevocation); index != nil {
			if s.Bundle, err = readRecord(tx, binary.BigEndian.Uint64(index)); err != nil {
				return err
			}
			s.Epoch = EpochOf(s.Bundle.LicenseID)
		}
		return tx.Bucket(bucketChanges).ForEach(func(key, value []byte) error {
			var c signer.RevocationChange
			if err := json.Unmarshal(value, &c); err != nil {
				return fmt.Errorf("%w: a revocation does not read", ErrBroken)
			}
			if s.Licenses[c.LicenseID] == nil {
				s.Licenses[c.LicenseID] = Causes{}
			}
			s.Licenses[c.LicenseID][c.Cause] = c
			return nil
		})
	})
	return s, err
}

// Causes returns the last changes of one license; empty for one that no revocation ever named.
func (l *Log) Causes(licenseID string) (causes Causes, err error) {
	causes = Causes{}
	err = l.db.View(func(tx *bbolt.Tx) error {
		return eachUnder(tx, bucketChanges, licenseID, func(value []byte) error {
			var c signer.RevocationChange
			if err := json.Unmarshal(value, &c); err != nil {
				return fmt.Errorf("%w: a revocation does not read", ErrBroken)
			}
			causes[c.Cause] = c
			return nil
		})
	})
	return causes, err
}

// License returns the record of a license.
func (l *Log) License(id string) (r Record, found bool, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		index, ok := indexOf(tx, bucketLicenses, id)
		if !ok {
			return nil
		}
		r, err = readRecord(tx, index)
		found = err == nil && r.Kind == KindIssuance
		return err
	})
	return r, found, err
}

// PaidBy returns the issuances that a payment proved.
func (l *Log) PaidBy(payment string) ([]Record, error) {
	return l.recordsUnder(bucketPayments, payment)
}

// BuiltOn returns the issuances whose base is the license.
func (l *Log) BuiltOn(licenseID string) ([]Record, error) {
	return l.recordsUnder(bucketBases, licenseID)
}

func (l *Log) recordsUnder(bucket []byte, name string) (list []Record, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		return eachUnder(tx, bucket, name, func(value []byte) error {
			r, err := readRecord(tx, binary.BigEndian.Uint64(value))
			list = append(list, r)
			return err
		})
	})
	return list, err
}

// under makes the key of something that belongs to a name; no name holds a NUL.
func under(name string, rest []byte) []byte { return append(append([]byte(name), 0), rest...) }

func eachUnder(tx *bbolt.Tx, bucket []byte, name string, visit func(value []byte) error) error {
	prefix := under(name, nil)
	cursor := tx.Bucket(bucket).Cursor()
	for key, value := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, value = cursor.Next() {
		if err := visit(value); err != nil {
			return err
		}
	}
	return nil
}

// index notes where to find an issuance again, or what a revocation changes.
func index(tx *bbolt.Tx, r Record) error {
	at := number(r.Index)
	if r.Payment != "" {
		if err := tx.Bucket(bucketPayments).Put(under(r.Payment, at), at); err != nil {
			return err
		}
	}
	if r.BaseID != "" {
		if err := tx.Bucket(bucketBases).Put(under(r.BaseID, at), at); err != nil {
			return err
		}
	}
	if r.Kind != KindRevocation {
		return nil
	}
	for _, c := range r.Changes {
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if err := tx.Bucket(bucketChanges).Put(under(c.LicenseID, []byte(c.Cause)), text); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(metaRevocation, at)
}

// follows reports whether a revocation was decided on the bundle in force, and its epoch is higher.
func follows(tx *bbolt.Tx, r Record) (bool, error) {
	inForce := int64(0)
	if last := tx.Bucket(bucketMeta).Get(metaRevocation); last != nil {
		record, err := readRecord(tx, binary.BigEndian.Uint64(last))
		if err != nil {
			return false, err
		}
		inForce = EpochOf(record.LicenseID)
	}
	return r.Follows == inForce && EpochOf(r.LicenseID) > inForce, nil
}

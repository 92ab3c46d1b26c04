package fulfillment

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes an ID: prefix, then 26 letters and digits of which the first ten grow with time, so that rows made together
// lie together, and 80 bits are random.
func NewID(prefix string, now time.Time, random io.Reader) (string, error) {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16)
	if _, err := io.ReadFull(random, raw[6:]); err != nil {
		return "", fmt.Errorf("new ID: %w", err)
	}
	return prefix + idEncoding.EncodeToString(raw[:]), nil
}

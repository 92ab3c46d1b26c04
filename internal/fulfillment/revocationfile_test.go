package fulfillment_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// bundleStore holds the bundle of one epoch and counts how often its bytes are read.
type bundleStore struct {
	epoch       int64
	asked, read int
	err         error
}

func (s *bundleStore) NewestRevocations(context.Context) (fulfillment.RevocationBundle, error) {
	if s.asked++; s.err != nil {
		return fulfillment.RevocationBundle{}, s.err
	}
	if s.epoch == 0 {
		return fulfillment.RevocationBundle{}, fulfillment.ErrNotFound
	}
	return fulfillment.RevocationBundle{Epoch: s.epoch, SHA256: fmt.Sprint("sha of ", s.epoch)}, nil
}

func (s *bundleStore) RevocationBytes(_ context.Context, epoch int64) ([]byte, error) {
	s.read++
	return fmt.Append(nil, "bundle ", epoch), s.err
}

func TestTheBundleIsHandedOutFromMemoryAndNeverAnOlderOne(t *testing.T) {
	t.Parallel()
	store, now := &bundleStore{}, time.Now()
	file := fulfillment.NewRevocationFile(store, func() time.Time { return now })
	current := func(want int64) {
		t.Helper()
		b, err := file.Current(t.Context())
		if err != nil || b.Epoch != want || string(b.Envelope) != fmt.Sprint("bundle ", want) || b.SHA256 != fmt.Sprint("sha of ", want) {
			t.Errorf("%+v %v, want epoch %d", b, err, want)
		}
	}
	if _, err := file.Current(t.Context()); !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("before there is one: %v", err)
	}
	store.epoch = 7
	for range 100 {
		current(7)
	}
	if store.asked != 2 || store.read != 1 {
		t.Errorf("asked %d times, read %d times", store.asked, store.read)
	}
	store.epoch = 9
	current(7)
	now = now.Add(5 * time.Second)
	current(9)
	store.epoch = 8 // a database that was rolled back
	now = now.Add(5 * time.Second)
	current(9)
	store.err = errors.New("the database is down")
	now = now.Add(time.Hour)
	current(9)
	if store.read != 2 {
		t.Errorf("read %d times", store.read)
	}
}

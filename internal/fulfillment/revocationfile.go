package fulfillment

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// fileFresh is how long the file is handed out without asking the database again.
const fileFresh = 5 * time.Second

// RevocationFileStore is where the newest revocation bundle is read.
type RevocationFileStore interface {
	NewestRevocations(ctx context.Context) (RevocationBundle, error)
	RevocationBytes(ctx context.Context, epoch int64) ([]byte, error)
}

// RevocationFile hands out the newest revocation bundle from memory: it is public, may be large and is asked for by every
// router. What it once handed out it hands out as well while the database does not answer. It is safe for concurrent use.
type RevocationFile struct {
	store RevocationFileStore
	now   func() time.Time

	mu    sync.Mutex
	asked time.Time
	last  RevocationBundle
}

// NewRevocationFile returns the file as it is in the store.
func NewRevocationFile(store RevocationFileStore, now func() time.Time) *RevocationFile {
	return &RevocationFile{store: store, now: now}
}

// Current answers the newest bundle with its bytes, which nobody may change. Its error wraps ErrUnavailable, also before the
// first bundle was fetched from the signer.
func (f *RevocationFile) Current(ctx context.Context) (RevocationBundle, error) {
	now := f.now()
	f.mu.Lock()
	last := f.last
	if last.Epoch > 0 && now.Sub(f.asked) < fileFresh {
		f.mu.Unlock()
		return last, nil
	}
	f.asked = now // the others go on with the last one meanwhile
	f.mu.Unlock()

	newest, err := f.store.NewestRevocations(ctx)
	if err == nil && newest.Epoch > last.Epoch {
		newest.Envelope, err = f.store.RevocationBytes(ctx, newest.Epoch)
	}
	switch {
	case err == nil && newest.Epoch > last.Epoch:
		f.mu.Lock()
		defer f.mu.Unlock()
		if newest.Epoch > f.last.Epoch {
			f.last = newest
		}
		return f.last, nil
	case last.Epoch > 0:
		return last, nil
	}
	return RevocationBundle{}, fmt.Errorf("%w: no revocation bundle: %w", ErrUnavailable, err)
}

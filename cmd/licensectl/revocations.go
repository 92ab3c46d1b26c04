package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const revocationsHelp = `
Usage: licensectl revocations [-keys FILE] [-json] URL -to PATH
       licensectl revocations ... -watch INTERVAL URL -to PATH

Downloads the revocation bundle from URL, which the portal's keys page tells, verifies it with the key ring and puts it
at PATH, where the router reads it, when it is not there already. A router learns only from this file that a license was
revoked, suspended or superseded.

A bundle that does not verify, that is not valid now, or that has a lower epoch than the file at PATH is refused, and the
file stays. A file at PATH that is no revocation bundle is not replaced. The new file takes the mode and owner of the one
before it; where there was none it gets mode 0640 and, when root runs this, the owner of the folder. It is written beside
PATH and renamed over it.

Only https is used, but for this host; redirects to other hosts are not followed; more than 32 MiB is not read.

With -watch it stays and asks again every INTERVAL (1s at least, like 1h) until it is stopped, for a service beside the
router. A try that fails is told on standard error and repeated. With -json it writes one object for each file that it
puts in place.
`

// bundleTimeout is how long a bundle of 32 MiB may take.
const bundleTimeout = 5 * time.Minute

// bundleFile is a revocation bundle at a path.
type bundleFile struct {
	keys, to string // flags
	getenv   func(string) string
}

// placedBundle is the answer of revocations.
type placedBundle struct {
	Path      string    `json:"path"`
	Epoch     int64     `json:"revocation_epoch"`
	Entries   int       `json:"entries"`
	ExpiresAt time.Time `json:"expires_at"`
	Changed   bool      `json:"changed"`
}

func revocations(ctx context.Context, args []string, getenv func(string) string, out *output) error {
	flags := flag.NewFlagSet("revocations", flag.ContinueOnError)
	b := bundleFile{getenv: getenv}
	flags.StringVar(&b.keys, "keys", "", "the key ring `FILE`")
	flags.StringVar(&b.to, "to", "", "the `PATH` of the router's revocation bundle (required)")
	watch := flags.Duration("watch", 0, "ask again every `INTERVAL`")
	links, err := parse(flags, args, revocationsHelp, operands{1, 1, "the address of one revocation bundle"}, out)
	switch {
	case err != nil:
		return err
	case b.to == "":
		return usagef("-to PATH is missing: where the router looks for its revocation bundle")
	case *watch != 0 && *watch < shortestWatch:
		return usagef("-watch must be %s at least", shortestWatch)
	}
	d, err := newDownload("revocation bundle's address", links[0], bundleTimeout)
	if err != nil {
		return err
	}
	if *watch == 0 {
		placed, err := b.refresh(ctx, d)
		if err != nil {
			return err
		}
		return b.tell(out, placed)
	}
	if _, err := b.ring(); err != nil { // a wrong flag is told at once and not for ever
		return err
	}
	return repeat(ctx, *watch, out.stderr, func() error {
		placed, err := b.refresh(ctx, d)
		if err != nil || !placed.Changed {
			return err
		}
		if err := b.tell(out, placed); err != nil {
			return finalError{err}
		}
		return nil
	})
}

func (b *bundleFile) tell(out *output, placed placedBundle) error {
	out.field("epoch", fmt.Sprint(placed.Epoch))
	out.field("entries", fmt.Sprint(placed.Entries))
	out.field("expires_at", moment(placed.ExpiresAt))
	if placed.Changed {
		out.line("put at %s", placed.Path)
	} else {
		out.line("already at %s", placed.Path)
	}
	return out.object(placed)
}

func (b *bundleFile) ring() (*license.KeyRing, error) { return readKeys(b.keys, b.getenv, defaultKeys) }

// refresh downloads, verifies and puts in place what is not there.
func (b *bundleFile) refresh(ctx context.Context, d *download) (placedBundle, error) {
	ring, err := b.ring()
	if err != nil {
		return placedBundle{}, err
	}
	target, err := resolve(b.to)
	if err != nil {
		return placedBundle{}, err
	}
	old, err := readBundle(target)
	if err != nil {
		return placedBundle{}, err
	}
	data, err := fetchBundle(ctx, d, old)
	if err != nil {
		return placedBundle{}, err
	}
	now := time.Now()
	bundle, err := license.ReadRevocationBundle(data, ring, now)
	if err == nil {
		err = bundle.CheckDates(now)
	}
	if err != nil {
		return placedBundle{}, err
	}
	placed := placedBundle{Path: b.to, Epoch: bundle.Epoch(), Entries: bundle.Len(), ExpiresAt: bundle.ExpiresAt()}
	placed.Changed, err = putBundle(ctx, target, data, bundle.Epoch())
	return placed, err
}

// fetchBundle answers old where the portal says that it is the one in force.
func fetchBundle(ctx context.Context, d *download, old []byte) ([]byte, error) {
	have := ""
	if old != nil {
		sum := sha256.Sum256(old)
		have = hex.EncodeToString(sum[:])
	}
	response, err := d.ask(ctx, http.MethodGet, have)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotModified && old != nil {
		return old, nil
	}
	return d.read(response, license.MaxRevocationFileSize)
}

// putBundle replaces what is at target by a verified bundle, unless it is the same, is newer or is something else.
func putBundle(ctx context.Context, target string, data []byte, epoch int64) (changed bool, err error) {
	f := folder{path: filepath.Dir(target), sync: (*os.File).Sync}
	unlock, err := f.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := f.sweep(filepath.Base(target)); err != nil {
		return false, err
	}
	old, err := readBundle(target)
	if err != nil || (old != nil && string(old) == string(data)) {
		return false, err
	}
	if old == nil {
		attributes, err := newAttributes(f.path)
		if err != nil {
			return false, err
		}
		return true, f.replace(ctx, target, data, attributes)
	}
	seen, err := epochOf(old)
	switch {
	case err != nil:
		return false, fmt.Errorf("%s: %w", target, err)
	case epoch <= seen:
		return false, &license.Error{Code: license.CodeRevocationFailed, Reason: fmt.Sprintf("the revocation bundle has the epoch %d, and the one at %s has %d", epoch, target, seen)}
	}
	attributes, err := readAttributes(target)
	if err != nil {
		return false, err
	}
	return true, f.replace(ctx, target, data, attributes)
}

// readBundle reads what is at a path that resolve found; nil where nothing is.
func readBundle(target string) ([]byte, error) {
	file, err := os.Open(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, license.MaxRevocationFileSize+1))
	if err == nil && len(data) > license.MaxRevocationFileSize {
		err = fmt.Errorf("%s is larger than a revocation bundle may be", target)
	}
	return data, err
}

// epochOf reads the epoch of a bundle that is in place, whether or not the key ring still holds the key that signed it.
func epochOf(data []byte) (int64, error) {
	var file struct {
		Payload struct {
			Epoch int64 `json:"revocation_epoch"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(data, &file); err != nil || file.Payload.Epoch <= 0 {
		return 0, errors.New("what is there is no revocation bundle: move it away, or give another path")
	}
	return file.Payload.Epoch, nil
}

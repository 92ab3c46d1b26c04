package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const installHelp = `
Usage: licensectl install [-keys FILE] [-fingerprint TEXT] [-revocations FILE] [-yes] [-json] FILE -to PATH
       licensectl install ... -router URL -admin-password-file FILE [-token-file FILE] [-rollback-on-failure]

Verifies FILE as "licensectl verify" does and puts it at PATH, where the router looks for its license.
Nothing is touched when FILE is refused, and nothing is written when it is already there.

A license in force is not replaced by one that takes something away, unless -yes is given: one of another
customer or deployment, with an earlier expiry, without a feature, environment, instance or API dialect that the
installed one has, with a limit that is lower, or with a total volume where there was none. An evaluation gives way
to every license of its customer that lasts as long and has its features. A license that was revoked is not in force: that
says -revocations or, without it, a bundle that verifies in the file revocations.json beside PATH. "licensectl diff" shows
what changes.

The file that was there is kept beside it as NAME.LICENSE_ID.bak, or with a digest where it has no license ID
that verifies; a backup is never overwritten. The new file takes its mode and owner. Where there was none
it gets mode 0640 and, when root installs, the owner of the folder, so that the router's user can read
it. It is written beside PATH and renamed over it, so that a router finds the old file or
the new one, whole, whatever happens in between.

Where PATH is a symbolic link, the file that it points to is replaced, with the backup beside that file; the
link stays. In a container, mount the folder and not the single file: such a mount keeps showing the old
file.

With -router it first asks whether the router answers, before anything changes, and afterwards waits until the router
is ready, names the new license ID in its status and metrics (where it has metrics), and answers one /v1/models call
(with -token-file). When that does not happen in time it exits with 3; with -rollback-on-failure it first puts the old
file back.
`

// settings are the flags of the commands that put a file at a path.
type settings struct {
	trust
	to      string
	yes     bool
	router  routerFlags
	putBack bool
}

func (s *settings) register(flags *flag.FlagSet) {
	s.trust.register(flags)
	flags.StringVar(&s.to, "to", "", "the `PATH` of the router's license file (required)")
	s.router.registerWait(flags)
	flags.BoolVar(&s.putBack, "rollback-on-failure", false, "put the old file back when the router does not take the new one")
}

// finish checks the flags after they were parsed and reads the files that they name.
func (s *settings) finish(getenv func(string) string) error {
	if s.to == "" {
		return usagef("-to PATH is missing: where the router looks for its license")
	}
	if s.putBack && s.router.url == "" {
		return usagef("-rollback-on-failure needs -router URL: only the router can say that it takes the file")
	}
	if s.router.wait <= 0 {
		return usagef("-wait must be positive")
	}
	return s.load(getenv, time.Now())
}

func install(ctx context.Context, args []string, getenv func(string) string, out *output) error {
	flags := flag.NewFlagSet("install", flag.ContinueOnError)
	var s settings
	s.register(flags)
	flags.BoolVar(&s.yes, "yes", false, "replace the installed license also by one that takes something away")
	files, err := parse(flags, args, installHelp, oneLicense, out)
	if err != nil {
		return err
	}
	if err := s.finish(getenv); err != nil {
		return err
	}
	l, err := s.read(files[0], time.Now())
	if err != nil {
		return err
	}
	done, err := s.put(ctx, l, out)
	if err != nil {
		return err
	}
	return out.object(done)
}

// installed is the answer of install, rollback and pull.
type installed struct {
	described
	Path    string `json:"path"`
	Changed bool   `json:"changed"`
	Backup  string `json:"backup,omitempty"` // of what was there before
	Router  string `json:"router,omitempty"` // "accepted" where it was asked
}

// put installs a verified license, tells people, and sees to it that the router takes it where one is named.
func (s *settings) put(ctx context.Context, l *license.License, out *output) (installed, error) {
	router, err := s.router.open()
	if err != nil {
		return installed{}, err
	}
	if router != nil {
		if err := router.ask(ctx); err != nil {
			return installed{}, fmt.Errorf("nothing was changed: %w", err)
		}
	}
	now := time.Now()
	f := folder{sync: (*os.File).Sync}
	result, err := installFile(ctx, f, s.to, l.Bytes(), guard{
		tag:   func(old []byte) string { return backupTag(old, s.ring, now) },
		allow: func(old []byte) error { return s.allow(old, l, now) },
	})
	if err != nil {
		return installed{}, fmt.Errorf("install: %w", err)
	}
	answer := installed{describe(l, license.CodeValid, "", s.instance), s.to, result.changed, result.backup, ""}
	answer.Notice = s.notice(l, now)
	s.tell(out, answer)
	if router == nil {
		return answer, nil
	}
	if err := s.accept(ctx, router, l, result, out); err != nil {
		return answer, err
	}
	answer.Router = "accepted"
	return answer, nil
}

func (s *settings) tell(out *output, done installed) {
	printLicense(out, done.described)
	switch {
	case !done.Changed:
		out.line("already installed at %s", s.to)
		return
	case done.Backup != "":
		out.line("the file before it is kept as %s", done.Backup)
	}
	out.line("installed at %s", s.to)
}

// allow refuses to replace a license by one that takes something away. An old file that does not verify has nothing
// to lose.
func (s *settings) allow(old []byte, l *license.License, now time.Time) error {
	before, err := license.Read(old, s.ring, now)
	if err != nil || s.yes {
		return nil
	}
	if lost := losses(before.Payload(), l.Payload(), s.inForce(before, now), s.instance.given); len(lost) > 0 {
		return &worseError{lost}
	}
	return nil
}

// inForce reports whether a router may serve with the license now, wherever it is.
func (s *settings) inForce(l *license.License, now time.Time) bool {
	anywhere := s.trust
	anywhere.instance = fingerprint{}
	return anywhere.standing(l, now) == nil && !s.revokedBeside(l, now)
}

// bundleBeside is the name of the router's revocation bundle, where it is kept beside the license.
const bundleBeside = "revocations.json"

// revokedBeside reports whether the bundle beside the license file says that l is revoked. That stands for good, so that a bundle
// which has expired says it too; of a suspension or of a file that does not verify nothing follows.
func (s *settings) revokedBeside(l *license.License, now time.Time) bool {
	if s.bundle != nil { // the flag named another
		return false
	}
	bundle, err := license.LoadRevocationBundle(filepath.Join(filepath.Dir(s.to), bundleBeside), s.ring, now)
	if err != nil {
		return false
	}
	entry, found := bundle.Lookup(l.SafeStatus().LicenseID)
	return found && entry.Status == license.StatusRevoked && !entry.Pending(now)
}

// accept waits for the router to take the license. Where it does not, the old file is put back if that was asked for.
func (s *settings) accept(ctx context.Context, router *router, l *license.License, result replaced, out *output) error {
	notice, refusal := router.accepts(ctx, l.SafeStatus().LicenseID, s.router.wait)
	if refusal == nil {
		out.line("the router serves with it")
		if notice != "" {
			out.line("the router says: %s", printable(notice))
		}
		return nil
	}
	switch {
	case !s.putBack || !result.changed:
		return fmt.Errorf("the file is at %s: %w", s.to, refusal)
	case result.old == nil:
		return fmt.Errorf("the file is at %s, there was none before it to put back: %w", s.to, refusal)
	}
	// The router's verdict may have come by way of a signal, and the old file must be put back all the same.
	ctx = context.WithoutCancel(ctx)
	_, err := installFile(ctx, folder{sync: (*os.File).Sync}, s.to, result.old, guard{noBackup: true})
	if err != nil {
		return errors.Join(refusal, fmt.Errorf("the old file could not be put back: %w", err))
	}
	out.line("the old file is back at %s", s.to)
	return fmt.Errorf("the old file is back at %s: %w", s.to, refusal)
}

// backupTag names an old file by its license ID where that verifies and is fit for a file name, else by digest.
func backupTag(old []byte, ring *license.KeyRing, now time.Time) string {
	if l, err := license.Read(old, ring, now); err == nil {
		id := l.Payload().LicenseID
		const fit = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
		if len(id) <= 128 && strings.Trim(id, fit) == "" {
			return id
		}
	}
	return digestTag(old)
}

func digestTag(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256-" + hex.EncodeToString(sum[:8])
}

// guard is what installFile asks about the file that it would replace.
type guard struct {
	tag      func(old []byte) string // names the backup
	allow    func(old []byte) error  // nil: everything may be replaced
	noBackup bool
}

// replaced says what installFile did.
type replaced struct {
	changed bool   // false: the file was there already
	old     []byte // what was there before; nil where nothing was
	backup  string // where that is kept
}

// installFile puts data at path.
func installFile(ctx context.Context, f folder, path string, data []byte, g guard) (replaced, error) {
	target, err := resolve(path)
	if err != nil {
		return replaced{}, err
	}
	f.path = filepath.Dir(target)
	unlock, err := f.lock()
	if err != nil {
		return replaced{}, err
	}
	defer unlock()
	if err := f.sweep(filepath.Base(target)); err != nil {
		return replaced{}, err
	}

	result := replaced{changed: true}
	var attributes attributes
	old, err := license.ReadFile(target)
	switch {
	case license.CodeOf(err) == license.CodeMissing:
		if attributes, err = newAttributes(f.path); err != nil {
			return replaced{}, err
		}
	case err != nil:
		return replaced{}, fmt.Errorf("what is at %s is no license file to replace: %v", path, err)
	case string(old) == string(data):
		return replaced{}, nil
	default:
		result.old = old
		if attributes, err = readAttributes(target); err != nil {
			return replaced{}, err
		}
		if result.backup, err = f.keep(ctx, target, old, g, attributes); err != nil {
			return replaced{}, err
		}
	}
	if err := f.replace(ctx, target, data, attributes); err != nil {
		return replaced{}, err
	}
	return result, nil
}

// keep asks whether old may be replaced and backs it up.
func (f folder) keep(ctx context.Context, target string, old []byte, g guard, a attributes) (backup string, err error) {
	if g.allow != nil {
		if err := g.allow(old); err != nil {
			return "", err
		}
	}
	if g.noBackup {
		return "", nil
	}
	if backup, err = f.backUp(ctx, target, old, g.tag(old), a); err != nil {
		return "", fmt.Errorf("backup: %w", err)
	}
	return backup, nil
}

// resolve returns the regular file, there or not yet there, that path stands for.
func resolve(path string) (string, error) {
	if strings.HasSuffix(path, string(filepath.Separator)) {
		return "", fmt.Errorf("%s is a folder: give the path of the file in it", path)
	}
	link, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		// Only the file itself may be new.
		parent, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", fmt.Errorf("the folder for it: %w", err)
		}
		return filepath.Join(parent, filepath.Base(path)), nil
	}
	if err != nil {
		return "", err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("%s points to nothing: %w", path, err)
	}
	info := link
	if info.Mode()&fs.ModeSymlink != 0 {
		if info, err = os.Stat(target); err != nil {
			return "", err
		}
	}
	switch {
	case info.IsDir():
		return "", fmt.Errorf("%s is a folder: give the path of the file in it", path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	return target, nil
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const installHelp = `
Usage: licensectl install [-keys FILE] [-fingerprint TEXT] FILE -to PATH

Verifies FILE as "licensectl verify" does and puts it at PATH, where the router looks for its license.
Nothing is touched when FILE is refused, and nothing is written when it is already there.

The file that was there is kept beside it as NAME.LICENSE_ID.bak, or with a digest where it has no license ID
that verifies; a backup is never overwritten. The new file takes its mode and owner. Where there was none
it gets mode 0640 and, when root installs, the owner of the folder, so that the router's user can read
it. It is written beside PATH and renamed over it, so that a router finds the old file or
the new one, whole, whatever happens in between.

Where PATH is a symbolic link, the file that it points to is replaced, with the backup beside that file; the
link stays. In a container, mount the folder and not the single file: such a mount keeps showing the old
file.
`

func install(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	flags := flag.NewFlagSet("install", flag.ContinueOnError)
	keys := flags.String("keys", "", "the key ring `FILE`")
	to := flags.String("to", "", "the `PATH` of the router's license file (required)")
	var instance fingerprint
	flags.Var(&instance, "fingerprint", "also check that the license runs on the instance with this raw fingerprint (`TEXT`)")
	file, err := parse(flags, args, installHelp, stdout)
	if err != nil {
		return err
	}
	if *to == "" {
		return usagef("-to PATH is missing: where the router looks for its license")
	}
	ring, err := readKeys(*keys, getenv, defaultKeys)
	if err != nil {
		return err
	}
	now := time.Now()
	l, err := readLicense(file, ring, now, instance)
	if err != nil {
		return err
	}
	backup, changed, err := installFile(ctx, folder{sync: (*os.File).Sync}, *to, l.Bytes(), func(old []byte) string {
		return backupTag(old, ring, now)
	})
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	printLicense(stdout, l, instance)
	switch {
	case !changed:
		fmt.Fprintf(stdout, "already installed at %s\n", *to)
		return nil
	case backup != "":
		fmt.Fprintf(stdout, "the file before it is kept as %s\n", backup)
	}
	fmt.Fprintf(stdout, "installed at %s\n", *to)
	return nil
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

// installFile puts data at path. It returns the path of the backup of what was there ("" where nothing was), and
// whether anything had to change.
func installFile(ctx context.Context, f folder, path string, data []byte, tag func(old []byte) string) (backup string, changed bool, err error) {
	target, err := resolve(path)
	if err != nil {
		return "", false, err
	}
	f.path = filepath.Dir(target)
	unlock, err := f.lock()
	if err != nil {
		return "", false, err
	}
	defer unlock()
	if err := f.sweep(filepath.Base(target)); err != nil {
		return "", false, err
	}

	var attributes attributes
	old, err := license.ReadFile(target)
	switch {
	case license.CodeOf(err) == license.CodeMissing:
		if attributes, err = newAttributes(f.path); err != nil {
			return "", false, err
		}
	case err != nil:
		return "", false, fmt.Errorf("what is at %s is no license file to replace: %v", path, err)
	case string(old) == string(data):
		return "", false, nil
	default:
		if attributes, err = readAttributes(target); err != nil {
			return "", false, err
		}
		if backup, err = f.backUp(ctx, target, old, tag(old), attributes); err != nil {
			return "", false, fmt.Errorf("backup: %w", err)
		}
	}
	if err := f.replace(ctx, target, data, attributes); err != nil {
		return "", false, err
	}
	return backup, true, nil
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

package place_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/metrum-ai/licensing-portal/cmd/demo/place"
)

func open(t *testing.T, dir string) *place.Place {
	t.Helper()
	p, err := place.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Remove(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestADirectoryHoldsOneRunningDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", ".demo")
	p := open(t, dir)
	if _, err := place.Open(dir); !errors.Is(err, place.ErrInUse) || !strings.Contains(err.Error(), "DEMO_DIR") {
		t.Errorf("a second start: %v, want ErrInUse and what to do", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	if again.Root != p.Root {
		t.Errorf("after a restart the files are in %s, before in %s", again.Root, p.Root)
	}
	if os.Geteuid() == 0 && again.App.UID != p.App.UID {
		t.Errorf("after a restart the portal's user is %v, before %v", again.App, p.App)
	}
}

func TestRemovingLeavesWhatIsNotTheDemos(t *testing.T) {
	t.Parallel()
	for _, foreign := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), ".demo")
		if place.Exists(dir) {
			t.Error("a demo exists before it was made")
		}
		p, err := place.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.PutOwn("ours", nil); err != nil {
			t.Fatal(err)
		}
		if foreign {
			if err := os.WriteFile(filepath.Join(dir, "theirs"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if !place.Exists(dir) {
			t.Error("no demo exists although it was made")
		}
		if err := p.Remove("ours"); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(dir)
		switch {
		case foreign && (err != nil || len(left) != 1 || left[0].Name() != "theirs"):
			t.Errorf("left: %v, %v", left, err)
		case !foreign && !errors.Is(err, os.ErrNotExist):
			t.Errorf("the directory is still there: %v, %v", left, err)
		}
		if _, err := os.Stat(p.Root); p.Root != p.Dir && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", p.Root)
		}
	}
}

func TestTwoDemosShareNoDirectory(t *testing.T) {
	t.Parallel()
	a, b := open(t, filepath.Join(t.TempDir(), "a")), open(t, filepath.Join(t.TempDir(), "b"))
	if a.Root == b.Root || a.SocketFile("s") == b.SocketFile("s") {
		t.Errorf("both are in %s", a.Root)
	}
}

func TestASocketsPathStaysShort(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), strings.Repeat("long/", 30)))
	if path := p.SocketFile("signer.sock"); len(path) > 107 {
		t.Errorf("%s is %d bytes long", path, len(path))
	}
}

func TestRootsPartsRunAsTwoOtherUsers(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), ".demo"))
	if os.Geteuid() != 0 {
		if p.App != nil || p.Signer != nil || p.Root != p.Dir {
			t.Errorf("without root: %v, %v, %s", p.App, p.Signer, p.Root)
		}
		return
	}
	if p.App.UID == 0 || p.Signer.UID == 0 || p.App.UID == p.Signer.UID {
		t.Errorf("users %d and %d", p.App.UID, p.Signer.UID)
	}
}

func TestEachPartsFilesAreItsOwn(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), ".demo"))
	app, signer := uint32(os.Geteuid()), uint32(os.Geteuid())
	if p.App != nil {
		app, signer = p.App.UID, p.Signer.UID
	}
	own := uint32(os.Geteuid())
	for name, c := range map[string]struct {
		put      func(string, []byte) (string, error)
		owner    uint32
		mode     os.FileMode
		dirOwner uint32
		closed   bool // to other users, at its directory
	}{
		"signer": {p.PutSigner, signer, 0o600, signer, true},
		"portal": {p.PutPortal, app, 0o600, app, true},
		"router": {p.PutRouter, app, 0o600, app, true},
		"trust":  {p.PutTrust, own, 0o644, own, false},
		"own":    {p.PutOwn, own, 0o600, own, true},
	} {
		for range 2 { // the second time it is replaced
			path, err := c.put("file", []byte("text"))
			if err != nil {
				t.Fatal(err)
			}
			if mode, owner := look(t, path); mode.Perm() != c.mode || owner != c.owner {
				t.Errorf("%s: mode %v of user %d, want %v of %d", name, mode, owner, c.mode, c.owner)
			}
			mode, owner := look(t, filepath.Dir(path))
			if owner != c.dirOwner || (mode.Perm()&0o007 == 0) != c.closed {
				t.Errorf("%s: directory has mode %v of user %d", name, mode, owner)
			}
		}
	}
	if mode, owner := look(t, filepath.Dir(p.SocketFile("s"))); owner != signer || mode.Perm()&0o007 != 0 {
		t.Errorf("the socket's directory has mode %v of user %d", mode, owner)
	}
}

func look(t *testing.T, path string) (os.FileMode, uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode(), info.Sys().(*syscall.Stat_t).Uid
}

func TestAWriteFollowsNoSymbolicLink(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), ".demo"))
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, p.PortalFile("secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.PutPortal("secret", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the link's target holds %q, %v", text, err)
	}
}

func TestADemoWhoseFilesAreGoneSaysSo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30)) // so that its files are outside
	p := open(t, dir)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(p.Root); err != nil {
		t.Fatal(err)
	}
	if _, err := place.Open(dir); !errors.Is(err, place.ErrGone) || !strings.Contains(err.Error(), "remove "+dir) {
		t.Errorf("Open = %v, want ErrGone and what to do", err)
	}
}

func TestADemoOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "place.json"), []byte(`{"owner":4242}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := place.Open(dir); err == nil || !strings.Contains(err.Error(), "made by user 4242") {
		t.Errorf("Open = %v", err)
	}
}

func TestProgramsAreWhereTheirUsersReachThem(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), ".demo"))
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "portal"), []byte("first"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Programs(bin, "portal", "signer"); err == nil || !strings.Contains(err.Error(), "make demo") {
		t.Errorf("a missing program: %v", err)
	}
	for _, text := range []string{"first", "rebuilt"} {
		if err := os.WriteFile(filepath.Join(bin, "portal"), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		paths, err := p.Programs(bin, "portal")
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(paths["portal"])
		if err != nil || string(got) != text {
			t.Errorf("the program is %q, %v, want %q", got, err, text)
		}
		if mode, _ := look(t, paths["portal"]); p.App != nil && mode.Perm() != 0o755 {
			t.Errorf("others may not start %s: %v", paths["portal"], mode)
		}
	}
}

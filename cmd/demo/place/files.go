package place

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/metrum-ai/licensing-portal/cmd/demo/supervise"
)

// The directories under Root, each with those who may enter it.
const (
	dirPrograms = "bin"    // everyone: copies of the programs, when root started the demo
	dirSigner   = "signer" // the signer: private keys, webhook secret, log
	dirTrust    = "trust"  // everyone: the trust bundle and the key ring
	dirSocket   = "run"    // the signer, and the portal's group
	dirPortal   = "portal" // the portal: its secret and Stripe key
	dirRouter   = "router" // the router: its license and secrets
	dirStage    = "stage"  // the caller: where files are made
)

var ownDirs = []string{dirPrograms, dirSigner, dirTrust, dirSocket, dirPortal, dirRouter, dirStage}

// SignerFile is the path of a file that the signer alone may read.
func (p *Place) SignerFile(name string) string { return filepath.Join(p.Root, dirSigner, name) }

// TrustFile is the path of a public file.
func (p *Place) TrustFile(name string) string { return filepath.Join(p.Root, dirTrust, name) }

// SocketFile is the path of a socket that the signer makes for the portal.
func (p *Place) SocketFile(name string) string { return filepath.Join(p.Root, dirSocket, name) }

// PortalFile is the path of a file that the portal's user alone may read.
func (p *Place) PortalFile(name string) string { return filepath.Join(p.Root, dirPortal, name) }

// RouterFile is the path of a file of the router. The same user as the portal's
// runs it, and files that the caller puts there get that user's group.
func (p *Place) RouterFile(name string) string { return filepath.Join(p.Root, dirRouter, name) }

// makeDirs makes the directories, and sets owner and mode on every start, since
// the caller's umask has a say in what Mkdir does.
func (p *Place) makeDirs() error {
	if p.Root != p.Dir {
		mode := os.FileMode(0o700)
		if p.App != nil {
			mode = 0o711 // the parts pass through; each directory has its own guard
		}
		if err := os.Chmod(p.Root, mode); err != nil {
			return fmt.Errorf("place: %w", err)
		}
	}
	socketMode, routerMode := os.FileMode(0o700), os.FileMode(0o700)
	if p.App != nil {
		socketMode, routerMode = 0o710, 0o770|os.ModeSetgid
	}
	for _, d := range []struct {
		name  string
		mode  os.FileMode
		owner *supervise.Identity
		group *supervise.Identity
	}{
		{dirPrograms, 0o755, nil, nil},
		{dirStage, 0o700, nil, nil},
		{dirTrust, 0o755, nil, nil},
		{dirSigner, 0o700, p.Signer, p.Signer},
		{dirSocket, socketMode, p.Signer, p.App},
		{dirPortal, 0o700, p.App, p.App},
		{dirRouter, routerMode, p.App, p.App},
	} {
		path := filepath.Join(p.Root, d.name)
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("place: %w", err)
		}
		if d.owner != nil {
			if err := os.Lchown(path, int(d.owner.UID), int(d.group.GID)); err != nil {
				return fmt.Errorf("place: %w", err)
			}
		}
		if err := os.Chmod(path, d.mode); err != nil {
			return fmt.Errorf("place: %w", err)
		}
	}
	return nil
}

// PutSigner writes a file for the signer alone.
func (p *Place) PutSigner(name string, data []byte) (string, error) {
	path := p.SignerFile(name)
	return path, replaceFile(path, data, 0o600, p.Signer, p.stage())
}

// PutPortal writes a file for the portal's user alone.
func (p *Place) PutPortal(name string, data []byte) (string, error) {
	path := p.PortalFile(name)
	return path, replaceFile(path, data, 0o600, p.App, p.stage())
}

// PutRouter writes a file for the router's user alone.
func (p *Place) PutRouter(name string, data []byte) (string, error) {
	path := p.RouterFile(name)
	return path, replaceFile(path, data, 0o600, p.App, p.stage())
}

// PutTrust writes a public file.
func (p *Place) PutTrust(name string, data []byte) (string, error) {
	path := p.TrustFile(name)
	return path, replaceFile(path, data, 0o644, nil, p.stage())
}

// PutOwn writes a file for the caller alone, in the demo's own directory.
func (p *Place) PutOwn(name string, data []byte) (string, error) {
	path := filepath.Join(p.Dir, name)
	return path, replaceFile(path, data, 0o600, nil, p.Dir)
}

func (p *Place) stage() string { return filepath.Join(p.Root, dirStage) }

// replaceFile writes a file in one step. It is made in the stage, a directory
// of the caller's on the same file system, and renamed: a part that owns the
// target's directory could otherwise lead root elsewhere by a symbolic link.
func replaceFile(path string, data []byte, mode os.FileMode, owner *supervise.Identity, stage string) (err error) {
	f, err := os.CreateTemp(stage, ".new-")
	if err != nil {
		return fmt.Errorf("place: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if owner != nil {
		err = errors.Join(err, f.Chown(int(owner.UID), int(owner.GID)))
	}
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("place: %w", err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("place: %w", err)
	}
	return nil
}

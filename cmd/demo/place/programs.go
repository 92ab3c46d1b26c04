package place

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Programs returns the paths under which the parts' users can start the named
// programs of the directory from. For root's demo they are copies, since those
// users may not reach the originals; else the originals.
func (p *Place) Programs(from string, names ...string) (map[string]string, error) {
	paths := map[string]string{}
	for _, name := range names {
		source := filepath.Join(from, name)
		info, err := os.Stat(source)
		if err != nil || !info.Mode().IsRegular() {
			return nil, fmt.Errorf("place: there is no program %s: run make demo, which builds it", source)
		}
		paths[name] = source
		if p.App == nil {
			continue
		}
		paths[name] = filepath.Join(p.Root, dirPrograms, name)
		if err := p.copyProgram(source, paths[name], info); err != nil {
			return nil, fmt.Errorf("place: %w", err)
		}
	}
	return paths, nil
}

// copyProgram leaves a copy of the same size and time as it is.
func (p *Place) copyProgram(source, target string, info os.FileInfo) (err error) {
	if old, err := os.Stat(target); err == nil && old.Size() == info.Size() && old.ModTime().Equal(info.ModTime()) {
		return nil
	}
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(p.stage(), ".program-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		return err
	}
	if err = os.Chtimes(out.Name(), info.ModTime(), info.ModTime()); err != nil {
		return err
	}
	return os.Rename(out.Name(), target)
}

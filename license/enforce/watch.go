package enforce

import (
	"io/fs"
	"os"
)

// identity tells whether a path still leads to the same file with the same content, without reading it: a rename over
// the path and Kubernetes' swap of the symbolic link above it both change the file, an editor its time or size.
// It is looked at once a second rather than watched, which needs no dependency and works on every file system.
type identity struct {
	info fs.FileInfo // nil: there is none
}

func identify(path string) identity {
	if path == "" {
		return identity{}
	}
	info, err := os.Stat(path) // follows symbolic links
	if err != nil {
		return identity{}
	}
	return identity{info}
}

func (i identity) same(other identity) bool {
	if i.info == nil || other.info == nil {
		return i.info == other.info
	}
	return os.SameFile(i.info, other.info) && i.info.Size() == other.info.Size() && i.info.ModTime().Equal(other.info.ModTime())
}

package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
)

//go:embed static
var staticFiles embed.FS

// static serves the files that pages link to, each under a name that holds the hash of its content, so that browsers may
// keep it for ever.
type static struct {
	names    map[string]string // "portal.css" to "portal.3f2a….css"
	files    map[string]staticFile
	fallback []byte // the page of last resort
}

type staticFile struct {
	contentType string
	plain, gzip []byte // gzip is nil where it would not be smaller
}

// contentTypes is fixed here, so that a host's mime tables change nothing.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

func newStatic() (*static, error) {
	s := &static{names: map[string]string{}, files: map[string]staticFile{}}
	var sheets []string
	err := fs.WalkDir(staticFiles, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := staticFiles.ReadFile(name)
		switch {
		case err != nil:
			return err
		case path.Ext(name) == ".html":
			s.fallback = data
		case path.Ext(name) == ".css":
			sheets = append(sheets, name) // after the fonts they name
		default:
			return s.add(path.Base(name), data)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("web: static files: %w", err)
	}
	for _, name := range sheets {
		data, err := staticFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("web: static files: %w", err)
		}
		if err := s.add(path.Base(name), []byte(s.linked(string(data)))); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// linked replaces the names of files in a style sheet, url("inter.woff2"), with their hashed addresses.
func (s *static) linked(sheet string) string {
	for name := range s.names {
		sheet = strings.ReplaceAll(sheet, `url("`+name+`")`, `url("`+s.path(name)+`")`)
	}
	return sheet
}

func (s *static) add(name string, data []byte) error {
	ext := path.Ext(name)
	kind, ok := contentTypes[ext]
	if !ok {
		return fmt.Errorf("web: static file %s has no content type", name)
	}
	sum := sha256.Sum256(data)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	f := staticFile{contentType: kind, plain: data}
	if ext != ".woff2" {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestCompression) // a level that exists
		if small := gzipped(z, new(bytes.Buffer), data); len(small) < len(data) {
			f.gzip = small
		}
	}
	s.names[name], s.files[hashed] = hashed, f
	return nil
}

// path is the address of a file; a name that does not exist is a mistake in a page, found by the test that fetches them all.
func (s *static) path(name string) string { return "/static/" + s.names[name] }

func (s *static) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[chi.URLParam(r, "file")]
	if !ok {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	if f.gzip != nil && acceptsGzip(r) {
		body = f.gzip
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

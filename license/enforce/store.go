package enforce

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/internal/regular"
)

const maxStateFile = 4 << 20 // bytes

// content is what a state file holds.
type content struct {
	Version    int              `json:"version"`
	Generation int64            `json:"generation"` // one more with every write
	CreatedAt  time.Time        `json:"created_at"`
	Repairs    int64            `json:"repairs"` // how often a lost or damaged copy was made good
	ClockFloor int64            `json:"clock_floor"`
	Epoch      int64            `json:"revocation_epoch"`
	Licenses   map[string]*book `json:"licenses"`
}

// makesGood reports whether this copy would do where the next one is lost.
func (c *content) makesGood(next *content) bool {
	if c.Epoch < next.Epoch {
		return false
	}
	for id, after := range next.Licenses {
		before := c.Licenses[id]
		if before == nil {
			before = new(book)
		}
		if !before.makesGood(after) {
			return false
		}
	}
	return true
}

// store keeps the state in two files that are written in turns, so that the loss of one is noticed and costs a block
// at most. What the other copy would not make good is written to both. Each is whole or not at all, and carries an HMAC.
type store struct {
	path string
	key  []byte

	mu         sync.Mutex // one write at a time
	generation int64      // of the last write
	last       *content   // of the last write; what it points to is never changed
	lock       *os.File
}

func newStore(config Config) *store {
	mac := hmac.New(sha256.New, config.State.Secret)
	mac.Write([]byte("license/enforce state 1\x00" + license.Product + "\x00" + config.Fingerprint))
	return &store{path: config.State.Path, key: mac.Sum(nil), last: new(content)}
}

// slot is the file that holds the generation: they take turns.
func (s *store) slot(generation int64) string {
	if generation%2 == 0 {
		return s.path
	}
	return s.path + ".alt"
}

// open takes the lock and reads the state. A nil content without an error is a state that is not there. A fault is
// what was wrong with a copy that the other one made good; then a write may be lost, and with it a block.
func (s *store) open() (c *content, fault string, err error) {
	if s.lock == nil {
		lock, err := lockFile(s.path + ".lock")
		if errors.Is(err, errInUse) {
			return nil, "", err
		}
		s.lock = lock // nil in a folder that cannot be written: then nothing else can write there either
	}
	even, evenErr := s.read(0)
	odd, oddErr := s.read(1)
	absent := errors.Is(evenErr, fs.ErrNotExist) && errors.Is(oddErr, fs.ErrNotExist)
	switch {
	case absent:
		return nil, "", nil
	case even == nil && odd == nil:
		return nil, "", fmt.Errorf("both copies are unusable: %w; %w", evenErr, oddErr)
	case even == nil:
		c, fault = odd, "a copy was lost: "+evenErr.Error()
	case odd == nil:
		c, fault = even, "a copy was lost: "+oddErr.Error()
	default:
		c = even
		if odd.Generation > even.Generation {
			c = odd
		}
		if distance := even.Generation - odd.Generation; distance != 1 && distance != -1 {
			fault = "a copy is older than it may be" // or the same as the other
		}
	}
	s.generation, s.last = c.Generation, c
	return c, fault, nil
}

// read returns the copy in the slot of generations with this parity. Its errors do not name the path.
func (s *store) read(parity int64) (*content, error) {
	text, err := regular.Read(s.slot(parity), maxStateFile)
	if err != nil {
		return nil, err
	}
	return s.parse(text)
}

// parse reads a state file: JSON on a line, and the line's integrity code on the next.
func (s *store) parse(text string) (*content, error) {
	body, code, found := strings.Cut(text, "\n")
	mac, err := hex.DecodeString(strings.TrimSuffix(code, "\n"))
	if !found || err != nil || !hmac.Equal(mac, s.mac([]byte(body))) {
		return nil, errors.New("its integrity code does not match: it was changed, cut short, or belongs to another instance")
	}
	var c content
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil || c.Version != 1 {
		return nil, errors.New("it is of another version")
	}
	for id, b := range c.Licenses {
		if b == nil {
			delete(c.Licenses, id)
		}
	}
	return &c, nil
}

// format writes the file that parse reads.
func (s *store) format(c *content) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	file := append(append(body, '\n'), hex.EncodeToString(s.mac(body))...)
	if file = append(file, '\n'); len(file) > maxStateFile {
		return nil, fmt.Errorf("the state would be larger than %d bytes", maxStateFile)
	}
	return file, nil
}

func (s *store) mac(body []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(body)
	return mac.Sum(nil)
}

// write makes the content that take returns durable. Take is called once no other write is under way.
func (s *store) write(take func() *content) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, before := take(), s.last
	if err := s.put(c); err != nil || before.makesGood(c) {
		return err
	}
	return s.put(c)
}

// put writes one copy.
func (s *store) put(c *content) error {
	c.Version, c.Generation = 1, s.generation+1
	file, err := s.format(c)
	if err != nil {
		return err
	}
	if err := replaceFile(s.slot(c.Generation), file); err != nil {
		return withoutPath(err)
	}
	s.generation, s.last = c.Generation, c
	return nil
}

// replaceFile puts data at path, private, so that a crash leaves the old file or the new one.
func replaceFile(path string, data []byte) error {
	temporary := path + ".tmp"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary) // the failure before it is the one to tell
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// close releases the lock; its file stays, since removing it would let two processes lock two files.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return nil
	}
	lock := s.lock
	s.lock = nil
	return unlockFile(lock)
}

// withoutPath keeps paths out of reasons, which callers see.
func withoutPath(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

package stripesim

import (
	"encoding/json"
	"fmt"
	"sort"
)

// table keeps rows by ID, in order of creation. Rows are never changed in
// place: a change is a new row put under the same ID.
type table[T any] struct {
	name string
	rows map[string]*T
	seq  map[string]uint64
	ids  []string // oldest first
	last uint64
	// isLive picks the rows that still wait for the clock, so that looking for
	// due work does not walk over all history. Nil: none.
	isLive func(*T) bool
	live   map[string]struct{}
}

func newTable[T any](name string, isLive func(*T) bool) *table[T] {
	return &table[T]{
		name: name, isLive: isLive,
		rows: map[string]*T{}, seq: map[string]uint64{}, live: map[string]struct{}{},
	}
}

// stored is a row as it is written, with its place in the order.
type stored[T any] struct {
	Seq uint64 `json:"seq"`
	Row *T     `json:"row"`
}

func (t *table[T]) get(id string) *T { return t.rows[id] }

// set puts row under id; a nil row removes it.
func (t *table[T]) set(id string, row *T) {
	if row == nil {
		delete(t.rows, id)
		delete(t.live, id)
		delete(t.seq, id)
		for i := len(t.ids) - 1; i >= 0; i-- {
			if t.ids[i] == id {
				t.ids = append(t.ids[:i:i], t.ids[i+1:]...)
				break
			}
		}
		return
	}
	if _, ok := t.rows[id]; !ok {
		t.last++
		t.seq[id] = t.last
		t.ids = append(t.ids, id)
	}
	t.rows[id] = row
	if t.isLive != nil && t.isLive(row) {
		t.live[id] = struct{}{}
	} else {
		delete(t.live, id)
	}
}

// liveIDs lists the waiting rows that keep says yes to, oldest first.
func (t *table[T]) liveIDs(keep func(*T) bool) []string {
	var out []string
	for id := range t.live {
		if keep(t.rows[id]) {
			out = append(out, id)
		}
	}
	sort.Slice(out, func(i, j int) bool { return t.seq[out[i]] < t.seq[out[j]] })
	return out
}

func (t *table[T]) bucket() string { return t.name }

func (t *table[T]) encode(id string) ([]byte, error) {
	row, ok := t.rows[id]
	if !ok {
		return nil, nil
	}
	return json.Marshal(stored[T]{Seq: t.seq[id], Row: row})
}

// load fills an empty table from what was written.
func (t *table[T]) load(each func(func(id string, data []byte) error) error) error {
	err := each(func(id string, data []byte) error {
		var s stored[T]
		if err := json.Unmarshal(data, &s); err != nil || s.Row == nil {
			return fmt.Errorf("%s %s does not decode: %w", t.name, id, err)
		}
		t.rows[id], t.seq[id] = s.Row, s.Seq
		t.ids = append(t.ids, id)
		t.last = max(t.last, s.Seq)
		if t.isLive != nil && t.isLive(s.Row) {
			t.live[id] = struct{}{}
		}
		return nil
	})
	sort.Slice(t.ids, func(i, j int) bool { return t.seq[t.ids[i]] < t.seq[t.ids[j]] })
	return err
}

package stripesim

import (
	"fmt"
	"time"
)

// tx is one transaction over the store: it sees its own changes, and they are
// kept all together or not at all.
type tx struct {
	s  *Server
	st *store
	// clock is what the stand-in's clock shows, fixed for the transaction. now
	// is when things happen: earlier than clock while catchUp makes up for time
	// that passed.
	clock, now time.Time
	cause      cause
	// override replaces the delivery settings for events made here.
	override *deliverySettings
	undo     []func()
	dirty    map[persistent]map[string]bool
}

// cause is the API request that made a change; empty for the page and the clock.
type cause struct {
	requestID      string
	idempotencyKey string
}

// update runs fn in a transaction, after whatever the clock has made due. An
// error of fn undoes all that fn did and is returned as it is.
func (s *Server) update(c cause, fn func(*tx) error) error {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if err := s.inTx(cause{}, (*tx).catchUp); err != nil {
		return err
	}
	if err := s.inTx(c, fn); err != nil {
		return err
	}
	return nil
}

// inTx wants the store's lock held.
func (s *Server) inTx(c cause, fn func(*tx) error) error {
	x := &tx{s: s, st: s.st, cause: c, dirty: map[persistent]map[string]bool{}}
	x.clock = s.cfg.Clock().Add(x.settings().Advanced)
	x.now = x.clock
	err := fn(x)
	if err == nil {
		if err = s.st.write(x.dirty); err != nil {
			err = fmt.Errorf("write state: %w", err)
		}
	}
	if err != nil {
		for i := len(x.undo) - 1; i >= 0; i-- {
			x.undo[i]()
		}
		return err
	}
	if x.dirty[s.st.deliveries] != nil || x.dirty[s.st.settings] != nil {
		s.poke()
	}
	return nil
}

// put stores row under id, or removes it when row is nil.
func put[T any](x *tx, t *table[T], id string, row *T) {
	old := t.get(id)
	x.undo = append(x.undo, func() { t.set(id, old) })
	t.set(id, row)
	if x.dirty[t] == nil {
		x.dirty[t] = map[string]bool{}
	}
	x.dirty[t][id] = true
}

// find returns a copy of a stored object, or nil.
func (x *tx) find(kind, id string) *record {
	if r := x.st.objects[kind].get(id); r != nil {
		return r.clone()
	}
	return nil
}

// save stores r under its own id.
func (x *tx) save(r *record) {
	put(x, x.st.objects[r.Body.str("object")], r.Body.str("id"), r)
}

// settings are the stand-in's own, one row.
func (x *tx) settings() settings {
	if s := x.st.settings.get("settings"); s != nil {
		return *s
	}
	return settings{}
}

func (x *tx) saveSettings(s settings) { put(x, x.st.settings, "settings", &s) }

// newID makes an ID that nothing of the kind has yet.
func (x *tx) newID(prefix string, length int, taken func(string) bool) (string, error) {
	for {
		id, err := randomID(x.s.cfg.Rand, prefix, length)
		if err != nil {
			return "", err
		}
		if taken == nil || !taken(id) {
			return id, nil
		}
	}
}

func (x *tx) objectID(kind, prefix string, length int) (string, error) {
	return x.newID(prefix, length, func(id string) bool { return x.st.objects[kind].get(id) != nil })
}

// shown is an object as the API shows it: a test's patch laid over it.
func (r *record) shown() object {
	if r.Private.flag("deleted") {
		return object{"id": r.Body["id"], "object": r.Body["object"], "deleted": true}
	}
	return r.patched(r.ObjectPatch)
}

// told is an object as an event tells it.
func (r *record) told() object { return r.patched(r.EventPatch) }

func (r *record) patched(patch object) object {
	out := merge(r.Body, patch)
	if !r.Body.has("line_items") {
		delete(out, "line_items") // shown only where it was expanded
	}
	return out
}

package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// Bounds of the live order page.
const (
	maxStreams     = 2000             // open at once in one process
	maxUserStreams = 20               // of one person, who would else take everybody's
	streamLife     = 10 * time.Minute // then the page says to check again
	heartbeat      = 15 * time.Second
	streamRecheck  = 5 * time.Second // a missed notice is made up for
	streamWrite    = 10 * time.Second
)

// orderEvents streams the order's progress as rendered fragments. It sends the state first, also after a reconnect, and
// ends with the event "done" once the order no longer moves.
func (s *server) orderEvents(w http.ResponseWriter, r *http.Request) error {
	org, id := member(r).organization.ID, chi.URLParam(r, "order")
	o, err := s.Orders.Order(r.Context(), org, id)
	if err != nil {
		return err
	}
	user := member(r).user.ID
	if status := s.streams.take(user); status != http.StatusOK {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(status)
		return nil
	}
	defer s.streams.give(user)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	st := &stream{server: s, w: w, r: r, control: http.NewResponseController(w)}
	if err := st.run(o); err != nil && r.Context().Err() == nil {
		s.Logger.WarnContext(r.Context(), "order stream ended", "request_id", requestID(r.Context()), "error", err)
	}
	return nil
}

// slots counts the open streams of one process.
type slots struct {
	mu    sync.Mutex
	total int
	of    map[string]int // by user
}

// take takes a slot for a user, or answers the status that says why there is none.
func (s *slots) take(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.of[user] >= maxUserStreams:
		return http.StatusTooManyRequests
	case s.total >= maxStreams:
		return http.StatusServiceUnavailable
	}
	s.total++
	s.of[user]++
	return http.StatusOK
}

func (s *slots) give(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.of[user]--; s.of[user] == 0 {
		delete(s.of, user)
	}
}

// stream is one open connection.
type stream struct {
	server  *server
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	sent    string // ID of the state sent last
}

func (st *stream) run(o fulfillment.Order) error {
	s, ctx := st.server, st.r.Context()
	changed := s.Orders.Watch(ctx, o.ID)
	end := time.NewTimer(streamLife)
	defer end.Stop()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	recheck := time.NewTicker(streamRecheck)
	defer recheck.Stop()
	for {
		if err := s.stillMember(ctx, member(st.r)); err != nil {
			return err
		}
		// Watch began before this read, so that no change falls between them.
		fresh, err := s.Orders.Order(ctx, o.OrganizationID, o.ID)
		if err != nil {
			return err
		}
		more, err := st.show(fresh)
		if err != nil || !more {
			return err
		}
		phase := time.NewTimer(view.PhaseOf(fresh, s.now()).Until(fresh, s.now()))
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				phase.Stop()
				return nil
			case <-end.C:
				phase.Stop()
				return st.write("event: done\ndata: timeout\n\n")
			case <-beat.C:
				if err := st.write(": beat\n\n"); err != nil {
					phase.Stop()
					return err
				}
			case _, open := <-changed:
				if !open {
					changed = nil // the service stopped watching; rechecks go on
				}
				waiting = false
			case <-recheck.C:
				waiting = false
			case <-phase.C:
				waiting = false
			}
		}
		phase.Stop()
	}
}

// stillMember errors once the actor has left the organization that the stream tells of: streams outlive requests.
func (s *server) stillMember(ctx context.Context, a actor) error {
	_, memberships, err := s.Accounts.Memberships(ctx, a.user.ID)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(memberships, func(m account.Membership) bool { return m.Organization.ID == a.organization.ID }) {
		return errors.New("the member left")
	}
	return nil
}

// show sends the order's state where it differs from what was sent last, and tells whether more may come.
func (st *stream) show(o fulfillment.Order) (more bool, err error) {
	s := st.server
	p := view.OrderPage{Chrome: s.chrome(st.r, "", "orders"), Order: o, Live: true, Phase: view.PhaseOf(o, s.now())}
	if err := s.quoted(st.r, &p); err != nil {
		return false, err
	}
	if p.License, err = s.licenseOf(st.r, o); err != nil {
		return false, err
	}
	if p.Subscribed, err = s.subscribed(s.Subscriptions.OfOrder(st.r.Context(), o.OrganizationID, o.ID)); err != nil {
		return false, err
	}
	p.Chrome.Title = p.Title()
	id := fmt.Sprintf("%d-%s", o.Revision, p.Phase)
	if id != st.sent {
		var fragment bytes.Buffer
		if err := view.OrderUpdate(p).Render(st.r.Context(), &fragment); err != nil {
			return false, err
		}
		var message strings.Builder
		message.WriteString("id: " + id + "\n")
		for line := range strings.Lines(fragment.String()) {
			message.WriteString("data: " + strings.TrimRight(line, "\r\n") + "\n")
		}
		message.WriteString("\n")
		if err := st.write(message.String()); err != nil {
			return false, err
		}
		st.sent = id
	}
	if p.Phase.Moves() {
		return true, nil
	}
	return false, st.write("event: done\ndata: " + string(p.Phase) + "\n\n")
}

func (st *stream) write(message string) error {
	// Servers under a fixed write timeout would cut the stream; each message gets a deadline of its own. Writers that
	// know no deadlines, as in tests, go without.
	_ = st.control.SetWriteDeadline(time.Now().Add(streamWrite + heartbeat))
	if _, err := io.WriteString(st.w, message); err != nil {
		return err
	}
	return st.control.Flush()
}

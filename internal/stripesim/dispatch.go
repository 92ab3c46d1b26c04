package stripesim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	maxInFlight = 32
	// pollEvery bounds how late Run notices that a clock moved on.
	pollEvery = 100 * time.Millisecond
)

// Run delivers webhooks, expires sessions and settles debits until ctx ends.
// It returns nil then; what was not delivered is kept for the next Run. Call
// it once at a time.
func (s *Server) Run(ctx context.Context) error {
	client := &http.Client{
		Transport:     s.cfg.Transport,
		Timeout:       s.cfg.DeliveryTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	inFlight := newSet()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
		for _, m := range s.dueMessages(inFlight) {
			wg.Go(func() {
				a, sent := s.send(ctx, client, m)
				if sent {
					s.keepAttempt(m.delivery, a)
				}
				inFlight.remove(m.delivery)
				s.poke()
			})
		}
		timer.Reset(pollEvery)
	}
}

// poke makes Run look for work.
func (s *Server) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it has been told already
	}
}

// message is one webhook request to be made.
type message struct {
	delivery, url, secret string
	body                  []byte
}

// dueMessages takes what is due into flight, as far as there is room.
func (s *Server) dueMessages(inFlight *set) []message {
	var out []message
	err := s.update(cause{}, func(x *tx) error {
		isDue := func(d *delivery) bool {
			return d.State == statePending && !d.Next.After(x.now) && !inFlight.has(d.ID) && x.isTurn(d)
		}
		for _, id := range x.st.deliveries.liveIDs(isDue) {
			d := x.st.deliveries.get(id)
			endpoint := x.st.objects[kindEndpoint].get(d.Endpoint)
			event := x.st.objects[kindEvent].get(d.Event)
			if endpoint == nil || endpoint.Body.str("status") != "enabled" {
				x.giveUp(id, "the endpoint is gone or disabled")
				continue
			}
			if !inFlight.add(id, maxInFlight) {
				return nil
			}
			body, err := encodeEvent(x.envelope(event, endpoint.Body))
			if err != nil {
				return err
			}
			out = append(out, message{id, endpoint.Body.str("url"), endpoint.Private.str("secret"), body})
		}
		return nil
	})
	if err != nil {
		s.cfg.Logger.Error("look for due webhooks", "error", err)
		for _, m := range out {
			inFlight.remove(m.delivery)
		}
		return nil
	}
	return out
}

// isTurn says whether the delivery that must come first has been tried.
func (x *tx) isTurn(d *delivery) bool {
	first := x.st.deliveries.get(d.After)
	return first == nil || first.Attempts > 0 || !first.isOpen()
}

// send makes one webhook request. It reports false when the stand-in stopped
// meanwhile: such an attempt does not count.
func (s *Server) send(ctx context.Context, client *http.Client, m message) (attempt, bool) {
	start := time.Now()
	at := s.cfg.Clock()
	status, err := post(ctx, client, m, at)
	a := attempt{At: at, Status: status, Millis: time.Since(start).Milliseconds()}
	if err != nil {
		a.Error = plainError(err)
	}
	return a, ctx.Err() == nil || err == nil
}

func post(ctx context.Context, client *http.Client, m message, at time.Time) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Accept", "*/*; q=0.5, application/xml")
	req.Header.Set("Stripe-Signature", sign(m.body, m.secret, at))
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // only so that the connection can be used again
	return resp.StatusCode, nil
}

// sign is the Stripe-Signature header: https://stripe.com/docs/webhooks#verify-manually
func sign(body []byte, secret string, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return fmt.Sprintf("t=%s,v1=%s", t, hex.EncodeToString(mac.Sum(nil)))
}

// plainError says in a few words why there was no answer.
func plainError(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timed out"
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without the address, which the log has already
	}
	return "no answer: " + err.Error()
}

func (s *Server) keepAttempt(id string, a attempt) {
	err := s.update(cause{}, func(x *tx) error {
		x.record(id, a)
		return nil
	})
	if err != nil {
		s.cfg.Logger.Error("keep webhook attempt", "delivery", id, "error", err)
	}
}

// set is a set of IDs with room for so many.
type set struct {
	mu sync.Mutex
	in map[string]bool
}

func newSet() *set { return &set{in: map[string]bool{}} }

func (s *set) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in[id]
}

// add reports whether there was room.
func (s *set) add(id string, room int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.in) >= room {
		return false
	}
	s.in[id] = true
	return true
}

func (s *set) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.in, id)
}

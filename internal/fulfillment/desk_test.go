package fulfillment_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// The people of the world's trust bundle.
const (
	ada = "Ada Lovelace" // issuer
	ben = "Ben Noether"  // approver
	cat = "Cat Hopper"   // approver
	fay = "Fay Pacioli"  // finance
)

// hireStaff gives the people keys in files, and the bundle their public halves.
func (w *world) hireStaff() {
	w.t.Helper()
	w.staff = map[string]*software.Key{}
	for name, role := range map[string]trust.Role{ada: trust.RoleIssuer, ben: trust.RoleApprover, cat: trust.RoleApprover, fay: trust.RoleFinance} {
		key, _, err := software.Generate(rand.Reader)
		w.must(err)
		w.staff[name] = key
		w.bundle.Approvers = append(w.bundle.Approvers, key.Approver(name, role))
	}
}

// openDesk makes the services of staff's requests anew, so that they ask for the signer's present bundle.
func (w *world) openDesk() {
	w.t.Helper()
	w.requests = w.requestsAt(time.Now)
	var err error
	w.executor, err = fulfillment.NewExecutor(w.executing())
	w.must(err)
}

func (w *world) requestsAt(now func() time.Time) *fulfillment.Requests {
	w.t.Helper()
	requests, err := fulfillment.NewRequests(fulfillment.RequestsConfig{
		Store: w.store, Subjects: w.store, Catalog: fulfillment.NewCatalog(w.signer, time.Now), PublicURL: "http://localhost:8080",
		Secret: bytes.Repeat([]byte{7}, 32), Now: now, Random: rand.Reader, Log: w.log,
	})
	w.must(err)
	return requests
}

// executing is what the executor is made of.
func (w *world) executing() fulfillment.ExecutorConfig {
	return fulfillment.ExecutorConfig{
		Store: w.store, Rotation: w.store, Subjects: w.store, Mails: w.store, Signer: w.signer, Bundles: w.revoker,
		Catalog: fulfillment.NewCatalog(w.signer, time.Now), Mailer: w, Now: time.Now, Log: w.log,
	}
}

// SendReplacement implements fulfillment.ReplacementMailer.
func (w *world) SendReplacement(_ context.Context, m fulfillment.ReplacementMail) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = append(w.moved, m)
	return nil
}

func (w *world) replacementMails() []fulfillment.ReplacementMail {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.moved)
}

// proposed writes a request down and lets its proposer stand by it.
func (w *world) proposed(r approval.Request) fulfillment.StaffRequest {
	w.t.Helper()
	request, err := w.requests.Propose(w.t.Context(), r)
	w.must(err)
	return w.stood(request, r.Proposer)
}

// assertion is a person's over a request.
func (w *world) assertion(r fulfillment.StaffRequest, name string) approval.Assertion {
	w.t.Helper()
	a, err := w.staff[name].Assert(w.bundle.WebAuthn, approval.Digest(r.Text))
	w.must(err)
	return a
}

// stood lets people stand by a request, one after another.
func (w *world) stood(r fulfillment.StaffRequest, names ...string) fulfillment.StaffRequest {
	w.t.Helper()
	for _, name := range names {
		var err error
		r, err = w.requests.Stand(w.t.Context(), r.ID, w.assertion(r, name))
		if err != nil {
			w.t.Fatalf("%s: %v", name, err)
		}
	}
	return r
}

// ended waits for a request to end, and answers how.
func (w *world) ended(r fulfillment.StaffRequest) fulfillment.StaffRequest {
	w.t.Helper()
	w.eventually("the request ends", func() bool {
		var err error
		r, err = w.requests.Request(w.t.Context(), r.ID)
		w.must(err)
		return !r.EndedAt.IsZero()
	})
	return r
}

// done waits for a request to be done.
func (w *world) done(r fulfillment.StaffRequest) fulfillment.StaffRequest {
	w.t.Helper()
	if r = w.ended(r); r.Refusal != nil {
		w.t.Fatalf("refused: %+v", *r.Refusal)
	}
	return r
}

const why = "The company's name was misspelled in the order."

// correction asks for another customer name.
func correction(l fulfillment.License, name string) approval.Request {
	r := approval.Request{
		Action: approval.ActionReplace, Proposer: ada, Reason: approval.ReasonCorrection, Explanation: why, Ticket: "T-17",
		Replace: &approval.Replace{BaseID: l.ID},
	}
	r.Replace.Changes.CustomerName.New = name
	return r
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.pool.Exec(w.t.Context(), sql, args...)
	w.must(err)
}

package postgres_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
)

// revocation is a request that Ada proposes.
func revocation(t *testing.T, id string, at time.Time) fulfillment.StaffRequest {
	t.Helper()
	r := fulfillment.StaffRequest{Needed: 1, Request: approval.Request{
		ID: id, Action: approval.ActionRevoke, Proposer: "Ada", CreatedAt: at.UTC().Truncate(time.Second), Reason: approval.ReasonResolved,
		Explanation: "Nobody needs to know more.", Revoke: []approval.Revocation{{LicenseID: "lic_1", Status: approval.StatusReinstated}},
	}}
	var err error
	if r.Text, err = r.Request.Text(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(r.Text))
	r.Digest = hex.EncodeToString(sum[:])
	return r
}

func stand(name string, approves bool, at time.Time) fulfillment.Stand {
	return fulfillment.Stand{Name: name, Approves: approves, At: at, Assertion: approval.Assertion{
		CredentialID: "AAAA", AuthenticatorData: []byte{1}, ClientDataJSON: []byte("{}"), Signature: []byte{2},
	}}
}

func requestStore(t *testing.T) (*postgres.Fulfillment, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t, postgres.Migrate)
	return postgres.NewFulfillment(pool, noQueue{}), pool
}

func TestTheDatabaseKeepsWhatPeopleApprovedAsItWas(t *testing.T) {
	t.Parallel()
	s, pool := requestStore(t)
	now := time.Now()
	if err := s.AddRequest(t.Context(), revocation(t, "req_1", now)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddStand(t.Context(), "req_1", stand("Ada", false, now), 1); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"UPDATE staff_requests SET body = body || 'x'", "UPDATE staff_requests SET digest = repeat('0', 64)", "UPDATE staff_requests SET proposer = 'Ben'",
		"UPDATE staff_requests SET expires_at = expires_at + interval '1 day'", "DELETE FROM staff_requests",
		"UPDATE staff_assertions SET name = 'Ben'", "DELETE FROM staff_assertions",
		"UPDATE staff_requests SET ended_at = now()", // not approved
		`INSERT INTO staff_assertions (request_id, name, approves, credential_id, authenticator_data, client_data, signature, at)
			VALUES ('req_1', 'Ben', false, '', '', '', '', now())`, // a proposal by another
		`INSERT INTO staff_requests (id, body, digest, action, proposer, subjects, created_at, expires_at, needed)
			VALUES ('req_2', 'x', repeat('0', 64), 'revoke', 'Ada', '{lic_1}', now(), now() + interval '24 hours', 1)`, // another digest
	} {
		if _, err := pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s went through", sql)
		}
	}
	if _, err := s.AddStand(t.Context(), "req_1", stand("Ada", true, now), 1); err == nil {
		t.Error("a proposer approved")
	}
}

func TestOfManyApprovalsAtOnceTheLastNeededDecides(t *testing.T) {
	t.Parallel()
	s, pool := requestStore(t)
	now := time.Now()
	if err := s.AddRequest(t.Context(), revocation(t, "req_1", now)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddStand(t.Context(), "req_1", stand("Ada", false, now), 2); err != nil {
		t.Fatal(err)
	}
	names := strings.Split("abcdefgh", "")
	errs := make(chan error)
	for _, name := range names {
		go func() {
			_, err := s.AddStand(t.Context(), "req_1", stand(name, true, now), 2)
			errs <- err
		}()
	}
	decided := 0
	for range names {
		switch err := <-errs; {
		case errors.Is(err, fulfillment.ErrRequestDecided):
			decided++
		case err != nil:
			t.Error(err)
		}
	}
	var stored int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM staff_assertions WHERE approves").Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Request(t.Context(), "req_1"); err != nil || r.ApprovedAt.IsZero() || stored != 2 || decided != len(names)-2 {
		t.Errorf("%d approvals stored, %d came too late, %v", stored, decided, err)
	}
	if _, err := s.AddStand(t.Context(), "req_none", stand("Ben", false, now), 1); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("no such request: %v", err)
	}
}

func TestARequestIsOverAfterADay(t *testing.T) {
	t.Parallel()
	s, _ := requestStore(t)
	now := time.Now()
	if err := s.AddRequest(t.Context(), revocation(t, "req_1", now.Add(-approval.ValidFor))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddStand(t.Context(), "req_1", stand("Ada", false, now), 1); !errors.Is(err, fulfillment.ErrRequestExpired) {
		t.Errorf("a day later: %v", err)
	}
}

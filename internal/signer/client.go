package signer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// Bounds of the client: how long it waits and how much of an answer it reads.
const (
	clientTimeout  = 5 * time.Second
	maxSmallAnswer = 1 << 20
	maxLargeAnswer = 80 << 20 // a page of the log, a trust bundle, a revocation bundle of 32 MiB inside JSON
)

// Client talks to the signer over its Unix socket; safe for concurrent use. A refusal is a *Error; a signer that does not
// answer is a *Error with CodeUnavailable.
type Client struct {
	http *http.Client
	base string // the verbs' address without their path
}

// NewClient returns a client for the Unix socket at path. It connects when it is first used.
func NewClient(path string) *Client {
	var dialer net.Dialer
	return newClient("http://signer", &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", path)
	}})
}

func newClient(base string, transport *http.Transport) *Client {
	transport.MaxIdleConnsPerHost = 32
	transport.IdleConnTimeout = 30 * time.Second // below the server's, so that no request meets a closing connection
	transport.DisableCompression = true
	return &Client{base: base, http: &http.Client{
		Timeout: clientTimeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Check asks whether Stripe signed an event just now. It says nothing about what the event is good for.
func (c *Client) Check(ctx context.Context, e Event) (Checked, error) {
	answer, err := c.post(ctx, "/v1/check", e)
	if err != nil {
		return Checked{}, err
	}
	var checked Checked
	if err := json.Unmarshal(answer, &checked); err != nil || !checked.Valid {
		return Checked{}, unavailable("the answer to check does not read")
	}
	return checked, nil
}

// Issue answers the envelope's exact bytes: the license.json. The same evidence always gets the same bytes.
func (c *Client) Issue(ctx context.Context, r IssueRequest) ([]byte, error) {
	return c.post(ctx, "/v1/issue", r)
}

// Revoke answers the revocation bundle in force after what the evidence changes. Asking again changes nothing more.
func (c *Client) Revoke(ctx context.Context, r RevokeRequest) (Revoked, error) {
	var revoked Revoked
	text, err := json.Marshal(r)
	if err != nil {
		return revoked, fmt.Errorf("signer: %w", err)
	}
	answer, err := c.do(ctx, http.MethodPost, "/v1/revoke", text, maxLargeAnswer)
	if err != nil {
		return revoked, err
	}
	if err := json.Unmarshal(answer, &revoked); err != nil || revoked.Epoch <= 0 {
		return revoked, unavailable("the answer to revoke does not read")
	}
	return revoked, nil
}

// Trust returns the signer's trust bundle.
func (c *Client) Trust(ctx context.Context) (*trust.Bundle, error) {
	raw, err := c.TrustBytes(ctx)
	if err != nil {
		return nil, err
	}
	return trust.Parse(raw)
}

// TrustBytes returns the exact bytes of the signer's trust bundle, over which its signatures are.
func (c *Client) TrustBytes(ctx context.Context) ([]byte, error) {
	return c.get(ctx, "/v1/trust", maxLargeAnswer)
}

// Status says how the signer is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	return status, c.getJSON(ctx, "/v1/status", maxSmallAnswer, &status)
}

func (c *Client) getJSON(ctx context.Context, path string, limit int64, to any) error {
	answer, err := c.get(ctx, path, limit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, to); err != nil {
		return unavailable("the answer does not read")
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	return c.do(ctx, http.MethodGet, path, nil, limit)
}

func (c *Client) post(ctx context.Context, path string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, text, maxSmallAnswer)
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		// Every verb answers the same to the same request, so a connection that broke may be tried again.
		req.Header.Set("Idempotency-Key", "same")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unavailable("no answer")
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil || int64(len(answer)) > limit {
		return nil, unavailable("the answer was torn or too large")
	}
	if res.StatusCode == http.StatusOK {
		return answer, nil
	}
	var refusal Error
	if err := json.Unmarshal(answer, &refusal); err != nil || refusal.Code == "" {
		return nil, unavailable(fmt.Sprintf("status %d without a code", res.StatusCode))
	}
	return nil, &refusal
}

func unavailable(message string) *Error { return &Error{Code: CodeUnavailable, Message: message} }

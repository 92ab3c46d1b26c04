package signer

import (
	"context"
	"errors"

	"github.com/metrum-ai/licensing-portal/internal/trust"
)

var errContract = errors.New("contract")

// Client talks to the signer over its Unix socket; safe for concurrent use. A refusal is a *Error; a signer that does not
// answer is a *Error with CodeUnavailable.
type Client struct{}

// NewClient returns a client for the Unix socket at path.
func NewClient(path string) *Client { return &Client{} }

func (c *Client) Check(ctx context.Context, e Event) (Checked, error) { return Checked{}, errContract }

// Issue answers the envelope's exact bytes: the license.json.
func (c *Client) Issue(ctx context.Context, r IssueRequest) ([]byte, error) { return nil, errContract }
func (c *Client) Trust(ctx context.Context) (*trust.Bundle, error)          { return nil, errContract }
func (c *Client) Status(ctx context.Context) (Status, error)                { return Status{}, errContract }
func (c *Client) Entries(ctx context.Context, from uint64) (Entries, error) {
	return Entries{}, errContract
}

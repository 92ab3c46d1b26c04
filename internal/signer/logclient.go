package signer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// NewLogClient returns a client for a source of the log: "unix:PATH", the signer's socket, or an http or https URL below
// which something relays the GET verbs under /v1/log/. It connects when it is first used.
func NewLogClient(source string) (*Client, error) {
	if path, ok := strings.CutPrefix(source, "unix:"); ok {
		if path == "" {
			return nil, errors.New("source: unix: wants the path of a socket behind it")
		}
		return NewClient(path), nil
	}
	u, err := url.Parse(source)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("source: neither unix:PATH nor a plain http or https URL")
	}
	return newClient(strings.TrimSuffix(u.String(), "/"), &http.Transport{Proxy: http.ProxyFromEnvironment}), nil
}

// Checkpoint returns the log's last signed checkpoint, a note of golang.org/x/mod/sumdb/note.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	return c.get(ctx, "/v1/log/checkpoint", maxSmallAnswer)
}

// Entries returns a page of the log from an index on.
func (c *Client) Entries(ctx context.Context, from uint64) (Entries, error) {
	var page Entries
	return page, c.getJSON(ctx, fmt.Sprintf("/v1/log/entries?from=%d", from), maxLargeAnswer, &page)
}

// EntryOf returns the entry of a license; a *Error with CodeLicenseUnknown where the log has none.
func (c *Client) EntryOf(ctx context.Context, licenseID string) (Entry, error) {
	var entry Entry
	return entry, c.getJSON(ctx, "/v1/log/license?id="+url.QueryEscape(licenseID), maxLargeAnswer, &entry)
}

// EntriesBytes returns the same page as the signer wrote it, for those who keep a copy.
func (c *Client) EntriesBytes(ctx context.Context, from uint64) ([]byte, error) {
	return c.get(ctx, fmt.Sprintf("/v1/log/entries?from=%d", from), maxLargeAnswer)
}

// InclusionProof returns the proof that the tree of the first size records holds the record at index. The caller checks it.
func (c *Client) InclusionProof(ctx context.Context, index, size uint64) (InclusionProof, error) {
	var proof InclusionProof
	return proof, c.getJSON(ctx, fmt.Sprintf("/v1/log/proof/inclusion?index=%d&size=%d", index, size), maxSmallAnswer, &proof)
}

// ConsistencyProof returns the proof that the tree of the first to records begins with that of the first from records. The
// caller checks it.
func (c *Client) ConsistencyProof(ctx context.Context, from, to uint64) (ConsistencyProof, error) {
	var proof ConsistencyProof
	return proof, c.getJSON(ctx, fmt.Sprintf("/v1/log/proof/consistency?from=%d&to=%d", from, to), maxSmallAnswer, &proof)
}

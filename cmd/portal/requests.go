package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval/software"
	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func (p program) desk(ctx context.Context, keyFile string) (*desk, error) {
	d := &desk{}
	var err error
	if keyFile != "" {
		if d.key, err = software.Read(keyFile); err != nil {
			return nil, err
		}
	}
	if d.parts, err = p.open(ctx, config.Database|config.Signer|config.Links); err != nil {
		return nil, err
	}
	if d.requests, err = d.parts.requests(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// owner tells whose the key is, from the trust bundle.
func (d *desk) owner(ctx context.Context) (string, error) {
	bundle, err := d.catalog.Bundle(ctx)
	if err != nil {
		return "", err
	}
	by, ok := bundle.Approver(d.key.CredentialID())
	if !ok {
		return "", errors.New("the trust bundle does not name this key; only a demo's names keys in files")
	}
	return by.Name, nil
}

// requestWords adds to an error what staff should know of the request.
func requestWords(err error, r fulfillment.StaffRequest) error {
	switch {
	case errors.Is(err, fulfillment.ErrNotFound):
		return errors.New("there is no such request")
	case errors.Is(err, fulfillment.ErrSelfApproval):
		return fmt.Errorf("%w: you proposed it at %s", err, r.CreatedAt.Format("15:04 UTC"))
	}
	return err
}

func (p program) printLink(requests *fulfillment.Requests, id string) error {
	address, until := requests.Link(id)
	_, err := fmt.Fprintf(p.stdout, "\n%s\n\nworks until %s; a passkey stands by %s there\n", address, until.Format("15:04 UTC on 2 Jan 2006"), id)
	return err
}

func (p program) staffRequestLink(ctx context.Context, args []string) error {
	id, rest, err := requestArgument("request-link", args)
	if err != nil {
		return err
	}
	if err := noArguments(rest); err != nil {
		return err
	}
	d, err := p.desk(ctx, "")
	if err != nil {
		return err
	}
	defer d.Close()
	if r, err := d.requests.Request(ctx, id); err != nil {
		return requestWords(err, r)
	}
	return p.printLink(d.requests, id)
}

func (p program) staffRequests(ctx context.Context, args []string) error {
	id := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		id, args = args[0], args[1:]
	}
	flags := newFlags("staff requests [REQ] [-json]")
	asJSON := flags.Bool("json", false, "for programs")
	if err := parse(flags, args); err != nil {
		return err
	}
	d, err := p.desk(ctx, "")
	if err != nil {
		return err
	}
	defer d.Close()
	now := time.Now()
	if id != "" {
		r, err := d.requests.Request(ctx, id)
		if err != nil {
			return requestWords(err, r)
		}
		if *asJSON {
			return writeJSON(p.stdout, shown(r, now))
		}
		return writeRequest(p.stdout, r, now)
	}
	list, err := d.requests.Requests(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		all := make([]requestJSON, len(list))
		for i, r := range list {
			all[i] = shown(r, now)
		}
		return writeJSON(p.stdout, all)
	}
	return writeRequests(p.stdout, list, now)
}

// requestJSON is a request for programs.
type requestJSON struct {
	ID        string                        `json:"id"`
	Action    string                        `json:"action"`
	Subjects  []string                      `json:"subjects"`
	Proposer  string                        `json:"proposer"`
	Approvers []string                      `json:"approvers"`
	Needed    int                           `json:"needed"`
	Standing  string                        `json:"standing"`
	CreatedAt time.Time                     `json:"created_at"`
	ExpiresAt time.Time                     `json:"expires_at"`
	Digest    string                        `json:"digest"`
	Text      string                        `json:"text"`
	LicenseID string                        `json:"license_id,omitempty"`
	Epoch     int64                         `json:"epoch,omitempty"`
	Refusal   *fulfillment.Reason           `json:"refusal,omitempty"`
	Rotation  *fulfillment.RotationProgress `json:"rotation,omitempty"`
}

func shown(r fulfillment.StaffRequest, now time.Time) requestJSON {
	j := requestJSON{
		ID: r.ID, Action: string(r.Action), Subjects: r.Subjects(), Proposer: r.Proposer, Approvers: append([]string{}, r.Approvers()...),
		Needed: r.Needed, Standing: string(r.Standing(now)), CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt(), Digest: r.Digest, Text: r.Text,
		LicenseID: r.LicenseID, Epoch: r.Epoch, Refusal: r.Refusal,
	}
	if r.Rotate != nil {
		j.Rotation = &r.Rotation
	}
	return j
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func writeRequests(w io.Writer, list []fulfillment.StaffRequest, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "there are no requests")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, age(now.Sub(r.CreatedAt)), r.Action, some(r.Subjects()), r.Proposer, standingWords(r, now))
	}
	return table.Flush()
}

// some shortens a list of IDs.
func some(ids []string) string {
	if len(ids) > 1 {
		return fmt.Sprintf("%s and %d more", ids[0], len(ids)-1)
	}
	return ids[0]
}

func writeRequest(w io.Writer, r fulfillment.StaffRequest, now time.Time) error {
	fmt.Fprintf(w, "%s\ndigest %s\n\n%s\n", r.Text, r.Digest, standingWords(r, now))
	for _, s := range r.Stands {
		verb := "proposed"
		if s.Approves {
			verb = "approved"
		}
		fmt.Fprintf(w, "%s by %s at %s\n", verb, s.Name, s.At.Format(time.RFC3339))
	}
	if slices.Contains([]fulfillment.RequestStanding{fulfillment.RequestDrafted, fulfillment.RequestWaiting}, r.Standing(now)) {
		fmt.Fprintf(w, "expires at %s\n", r.ExpiresAt().Format(time.RFC3339))
	}
	if r.LicenseID != "" {
		fmt.Fprintf(w, "license %s\n", r.LicenseID)
	}
	if r.Epoch > 0 {
		fmt.Fprintf(w, "revocation bundle of epoch %d\n", r.Epoch)
	}
	return nil
}

// standingWords says where a request stands and what it waits for.
func standingWords(r fulfillment.StaffRequest, now time.Time) string {
	words := ""
	switch r.Standing(now) {
	case fulfillment.RequestDrafted:
		words = "waits for its proposer, " + r.Proposer
	case fulfillment.RequestWaiting:
		words = fmt.Sprintf("waits for %d of %d approvals", r.Missing(), r.Needed)
	case fulfillment.RequestApproved:
		words = "approved, being carried out"
	case fulfillment.RequestDone:
		words = "done"
	case fulfillment.RequestExpired:
		words = "expired"
	case fulfillment.RequestRefused:
		words = "refused: " + r.Refusal.Code + ": " + r.Refusal.Detail
	}
	if p := r.Rotation; p.Total > 0 {
		words += fmt.Sprintf(" (%d of %d licenses replaced, %d passed over, %d refused, %d to do)", p.Replaced, p.Total, p.Passed, p.Refused, p.Open())
	}
	return words
}

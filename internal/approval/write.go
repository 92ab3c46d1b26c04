package approval

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

// header is the first line of every request. Another form gets another header.
const header = "licensing-portal staff request v1\n"

// writer writes lines of a name, a space and a value. A value that is empty has no line.
type writer struct{ strings.Builder }

func (w *writer) line(name, value string) {
	if value != "" {
		fmt.Fprintf(w, "%s %s\n", name, value)
	}
}

func (w *writer) time(name string, at time.Time) {
	if !at.IsZero() {
		w.line(name, at.Format(timeForm))
	}
}

// timeForm is RFC 3339 in whole seconds UTC.
const timeForm = "2006-01-02T15:04:05Z"

// list writes how many there are, and then each: nobody overlooks what a cut leaves out.
func (w *writer) list(names, name string, values []string) {
	w.line(names, strconv.Itoa(len(values)))
	for _, v := range values {
		w.line(name, v)
	}
}

func (w *writer) limit(name, limit string, value int64) {
	w.line(name, limit+" "+strconv.FormatInt(value, 10))
}

// text writes the request, valid or not.
func (r Request) text() string {
	w := new(writer)
	w.WriteString(header)
	w.line("request", r.ID)
	w.line("action", string(r.Action))
	w.line("proposer", r.Proposer)
	w.time("created_at", r.CreatedAt)
	w.line("reason", string(r.Reason))
	w.line("explanation", r.Explanation)
	w.line("ticket", r.Ticket)
	switch {
	case r.Issue != nil:
		r.Issue.write(w)
	case r.Replace != nil:
		r.Replace.write(w)
	case r.Rotate != nil:
		w.line("old_key_id", r.Rotate.KeyID)
		w.line("at_most", strconv.Itoa(r.Rotate.AtMost))
	}
	for _, revocation := range r.Revoke {
		w.line("license_id", revocation.LicenseID)
		w.line("status", revocation.Status)
		w.time("effective_at", revocation.EffectiveAt)
		w.line("superseded_by", revocation.SupersededBy)
	}
	return w.String()
}

// intentLines are the names of an intent's metadata in the order of the text; fp_1 … fp_20 come last.
var intentLines = []string{"order_id", "kind", "template", "quantity", "customer_id", "customer_name", "deployment_id",
	"environments", "base_id", "base_sha256"}

func fingerprintLine(n int) string { return "fp_" + strconv.Itoa(n+1) }

func (i *Issue) write(w *writer) {
	metadata := i.Intent.Metadata()
	for _, name := range intentLines {
		w.line(name, metadata[name])
	}
	for n := range i.Intent.Fingerprints {
		name := fingerprintLine(n)
		w.line(name, metadata[name])
	}
	w.line("invoice", i.Invoice)
	w.time("expires_at", i.Contract.ExpiresAt)
	for _, l := range i.Contract.Limits {
		w.limit("limit", l.Name, l.Value)
	}
	for _, feature := range i.Contract.AddFeatures {
		w.line("add_feature", feature)
	}
	w.line("notes", i.Contract.Notes)
}

func (r *Replace) write(w *writer) {
	w.line("base_id", r.BaseID)
	w.line("base_sha256", r.BaseSHA256)
	w.line("customer_id", r.CustomerID)
	w.line("customer_name", r.CustomerName)
	w.line("sku", r.SKU)
	w.line("new_template", r.Template)
	writeChanges(w, r.Changes)
	w.time("supersede_at", r.SupersedeAt)
}

func writeChanges(w *writer, c catalog.Changes) {
	w.time("old_expires_at", c.ExpiresAt.Old)
	w.time("new_expires_at", c.ExpiresAt.New)
	w.line("old_customer_name", c.CustomerName.Old)
	w.line("new_customer_name", c.CustomerName.New)
	if len(c.Environments) > 0 {
		w.list("new_environments", "environment", c.Environments)
	}
	if c.Fingerprints != nil {
		w.list("new_fingerprints", "fingerprint", *c.Fingerprints)
	}
	if len(c.Features) > 0 {
		w.list("new_features", "feature", c.Features)
	}
	for _, l := range c.Limits {
		w.limit("old_limit", l.Name, l.Old)
		w.limit("new_limit", l.Name, l.New)
	}
	w.line("old_notes", c.Notes.Old)
	w.line("new_notes", c.Notes.New)
}

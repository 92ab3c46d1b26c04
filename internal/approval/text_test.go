package approval_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/approval"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTheTextIsForPeople keeps the canonical text as it is: what was approved must parse for ever.
func TestTheTextIsForPeople(t *testing.T) {
	t.Parallel()
	for name, make := range requests {
		path, text := filepath.Join("testdata", name+".txt"), textOf(t, make(t))
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, text, want)
		}
	}
}

// TestParseRefusesAnyOtherSpelling changes one thing of a good text each.
func TestParseRefusesAnyOtherSpelling(t *testing.T) {
	t.Parallel()
	swap := func(old, new string) func(string) string {
		return func(text string) string { return strings.Replace(text, old, new, 1) }
	}
	drop := func(name string) func(string) string {
		return func(text string) string {
			_, after, _ := strings.Cut(text, "\n"+name+" ")
			value, _, _ := strings.Cut(after, "\n")
			return strings.Replace(text, "\n"+name+" "+value+"\n", "\n", 1)
		}
	}
	cases := map[string]struct {
		of     string
		change func(string) string
	}{
		"another form":             {"rotate", swap("request v1", "request v2")},
		"text before":              {"rotate", func(s string) string { return "\n" + s }},
		"a byte-order mark":        {"rotate", func(s string) string { return "\ufeff" + s }},
		"a line after":             {"rotate", func(s string) string { return s + "note please\n" }},
		"an empty line after":      {"rotate", func(s string) string { return s + "\n" }},
		"no last newline":          {"rotate", func(s string) string { return strings.TrimSuffix(s, "\n") }},
		"half of it":               {"rotate", func(s string) string { return s[:len(s)/2] }},
		"the header alone":         {"rotate", func(s string) string { return s[:strings.Index(s, "\n")+1] }},
		"line ends of Windows":     {"rotate", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }},
		"two requests":             {"rotate", func(s string) string { return s + s }},
		"a space at a line's end":  {"rotate", swap("at_most 40", "at_most 40 ")},
		"two spaces":               {"rotate", swap("at_most 40", "at_most  40")},
		"a tab":                    {"rotate", swap("at_most 40", "at_most\t40")},
		"a name in capitals":       {"rotate", swap("at_most", "At_most")},
		"an unknown name":          {"rotate", swap("at_most", "at_least")},
		"a line twice":             {"rotate", swap("old_key_id license-1\n", "old_key_id license-1\nold_key_id license-1\n")},
		"lines swapped":            {"rotate", swap("old_key_id license-1\nat_most 40", "at_most 40\nold_key_id license-1")},
		"a leading zero":           {"rotate", swap("at_most 40", "at_most 040")},
		"a plus":                   {"rotate", swap("at_most 40", "at_most +40")},
		"hexadecimal":              {"rotate", swap("at_most 40", "at_most 0x28")},
		"a huge number":            {"rotate", swap("at_most 40", "at_most 99999999999999999999")},
		"no number":                {"rotate", swap("at_most 40", "at_most many")},
		"an empty value":           {"rotate", swap("ticket SUP-17", "ticket ")},
		"a name without a space":   {"rotate", swap("ticket SUP-17", "ticket")},
		"an unknown action":        {"rotate", swap("action rotate", "action reissue")},
		"another action":           {"rotate", swap("action rotate", "action revoke")},
		"another action's reason":  {"rotate", swap("reason key_compromise", "reason refunded")},
		"another zone":             {"rotate", swap("2026-11-23T10:00:00Z", "2026-11-23T10:00:00+00:00")},
		"a fraction of a second":   {"rotate", swap("10:00:00Z", "10:00:00.5Z")},
		"a day that is none":       {"rotate", swap("2026-11-23", "2026-11-31")},
		"a leap second":            {"rotate", swap("10:00:00Z", "10:00:60Z")},
		"before 1970":              {"rotate", swap("2026-11-23", "1969-12-31")},
		"an override of direction": {"rotate", swap("in writing", "in \u202ewriting")},
		"a space of another width": {"rotate", swap("in writing", "in\u00a0writing")},
		"a zero-width space":       {"rotate", swap("in writing", "in\u200bwriting")},
		"a control character":      {"rotate", swap("in writing", "in\x07writing")},
		"invalid UTF-8":            {"rotate", swap("in writing", "in\xffwriting")},
		"a replacement character":  {"rotate", swap("in writing", "in\ufffdwriting")},
		"no explanation":           {"rotate", drop("explanation")},
		"no proposer":              {"rotate", drop("proposer")},
		"no reason":                {"rotate", drop("reason")},
		"no time":                  {"rotate", drop("created_at")},
		"no ID":                    {"rotate", drop("request")},
		"no bound":                 {"rotate", drop("at_most")},
		"no key":                   {"rotate", drop("old_key_id")},

		"no invoice":                     {"issue", drop("invoice")},
		"no order":                       {"issue", drop("order_id")},
		"no customer":                    {"issue", drop("customer_id")},
		"no quantity":                    {"issue", drop("quantity")},
		"a fingerprint left out":         {"issue", drop("fp_1")},
		"a fingerprint twice":            {"issue", swap("fp_2 fp:a", "fp_2 fp:b")},
		"an environment twice":           {"issue", swap("staging,production", "staging,staging")},
		"a limit twice":                  {"issue", swap("limit max_callers 200\n", "limit max_callers 200\nlimit max_callers 200\n")},
		"limits out of order":            {"issue", swap("limit max_callers 200\nlimit max_instances 3", "limit max_instances 3\nlimit max_callers 200")},
		"an unknown limit":               {"issue", swap("max_callers", "max_teapots")},
		"a negative limit":               {"issue", swap("max_callers 200", "max_callers -1")},
		"a limit of 2^53":                {"issue", swap("max_callers 200", "max_callers 9007199254740992")},
		"a limit without a value":        {"issue", swap("max_callers 200", "max_callers")},
		"features out of order":          {"issue", swap("add_feature audit_log_export\nadd_feature content_capture", "add_feature content_capture\nadd_feature audit_log_export")},
		"a feature twice":                {"issue", swap("add_feature audit_log_export", "add_feature content_capture")},
		"a feature in capitals":          {"issue", swap("content_capture", "Content_capture")},
		"the first time there is":        {"issue", swap("2028-01-01", "0001-01-01")},
		"a replacement's line in it":     {"issue", swap("invoice in_", "new_notes x\ninvoice in_")},
		"a replacement as its kind":      {"issue", swap("kind renewal", "kind replacement")},
		"no base, although it has one":   {"issue", drop("base_id")},
		"an invoice of another spelling": {"issue", swap("invoice in_1Q2w3e", "invoice IN_1Q2w3e")},

		"no old expiry":              {"replace", drop("old_expires_at")},
		"no new expiry":              {"replace", drop("new_expires_at")},
		"the same expiry":            {"replace", swap("new_expires_at 2027-12-01", "new_expires_at 2027-11-01")},
		"no new name":                {"replace", drop("new_customer_name")},
		"no old limit":               {"replace", drop("old_limit")},
		"no new limit":               {"replace", drop("new_limit")},
		"a limit for another":        {"replace", swap("new_limit max_callers", "new_limit max_admins")},
		"the same limit":             {"replace", swap("new_limit max_callers 60", "new_limit max_callers 50")},
		"a count that is too low":    {"replace", swap("new_fingerprints 2", "new_fingerprints 1")},
		"a count that is too high":   {"replace", swap("new_fingerprints 2", "new_fingerprints 3")},
		"no count":                   {"replace", drop("new_fingerprints")},
		"a negative count":           {"replace", swap("new_fingerprints 2", "new_fingerprints -2")},
		"fingerprints out of order":  {"replace", swap("fingerprint fp:a\nfingerprint fp:b", "fingerprint fp:b\nfingerprint fp:a")},
		"no environments at all":     {"replace", swap("new_environments 2\nenvironment production\nenvironment staging", "new_environments 0")},
		"no features at all":         {"replace", swap("new_features 2\nfeature routing\nfeature usage_reporting", "new_features 0")},
		"no SHA-256":                 {"replace", drop("base_sha256")},
		"a SHA-256 in capitals":      {"replace", swap("0b0b", "0B0b")},
		"no base":                    {"replace", drop("base_id")},
		"nobody's base":              {"replace", drop("customer_id")},
		"a base of no package":       {"replace", drop("sku")},
		"superseded too soon":        {"replace", swap("supersede_at 2026-11-30T10:00:00Z", "supersede_at 2026-11-30T09:59:59Z")},
		"superseded in two years":    {"replace", swap("supersede_at 2026", "supersede_at 2028")},
		"a leaked file that goes on": {"replace", func(s string) string { return drop("supersede_at")(swap("scope_change", "leaked_file")(s)) }},
		"a leaked file before it": {"replace", func(s string) string {
			return swap("2026-11-30T10", "2026-11-22T10")(swap("scope_change", "leaked_file")(s))
		}},

		"no licenses":                   {"revoke", func(s string) string { return s[:strings.Index(s, "license_id")] }},
		"a license twice":               {"revoke", swap("license_id lic_b", "license_id lic_a")},
		"licenses out of order":         {"revoke", swap("license_id lic_a", "license_id lic_c")},
		"an unknown status":             {"revoke", swap("status revoked", "status paused")},
		"no status":                     {"revoke", drop("status")},
		"no date":                       {"revoke", drop("effective_at")},
		"a date before the request":     {"revoke", swap("effective_at 2026-11-23T10:00:00Z", "effective_at 2026-11-23T09:59:59Z")},
		"a date in two years":           {"revoke", swap("effective_at 2026-11-30", "effective_at 2028-11-30")},
		"a successor of a revoked one":  {"revoke", swap("status superseded", "status revoked")},
		"its own successor":             {"revoke", swap("superseded_by lic_c", "superseded_by lic_b")},
		"a reinstatement with a date":   {"revoke", swap("status reinstated\n", "status reinstated\neffective_at 2026-11-30T10:00:00Z\n")},
		"a reinstatement for another":   {"revoke", swap("status reinstated\n", "status reinstated\nsuperseded_by lic_e\n")},
		"a successor ahead of its date": {"revoke", swap("effective_at 2026-11-30T10:00:00Z\nsuperseded_by lic_c", "superseded_by lic_c\neffective_at 2026-11-30T10:00:00Z")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := textOf(t, requests[c.of](t))
			text := c.change(good)
			if text == good {
				t.Fatal("nothing was changed")
			}
			if got, err := approval.Parse(text); !errors.Is(err, approval.ErrMalformed) || got.ID != "" {
				t.Errorf("got %v for\n%s", err, text)
			}
		})
	}
}

func TestALeakedFileIsSupersededAtOnce(t *testing.T) {
	t.Parallel()
	r := replaceRequest(t)
	r.Reason, r.Replace.SupersedeAt = approval.ReasonLeakedFile, now
	textOf(t, r)
	r.Replace.SupersedeAt = now.AddDate(1, 0, 2)
	if _, err := r.Text(); !errors.Is(err, approval.ErrMalformed) {
		t.Error(err)
	}
}

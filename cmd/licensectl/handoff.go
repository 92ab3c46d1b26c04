package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const handoffHelp = `
Usage: licensectl handoff [-request-id ID]... [-json] FILE
       licensectl handoff [-request-id ID]... [-json] -router URL -admin-password-file FILE

Writes the summary that support may see: license ID, SKU, key ID, expiry, status, reason, grace, router version and
request IDs, and nothing else. FILE is what the router answered at /admin/license/status ("-" reads standard input);
everything else in it is left out, and named on standard error.

A license file is refused, since support never needs one, and so is anything that looks like a password, token or key,
also where a safe field holds it.
`

const (
	maxSummaryInput = 256 << 10 // bytes
	maxRequestIDs   = 20
	maxReason       = 500 // bytes
)

// summary is the nine safe fields.
type summary struct {
	license.SafeStatus
	RequestIDs []string `json:"request_ids"`
}

func handoff(ctx context.Context, args []string, stdin io.Reader, out *output) error {
	flags := flag.NewFlagSet("handoff", flag.ContinueOnError)
	var named routerFlags
	named.register(flags)
	s := summary{RequestIDs: []string{}}
	flags.Func("request-id", "the `ID` of a request that it is about; may be given up to 20 times", func(id string) error {
		s.RequestIDs = append(s.RequestIDs, id)
		return nil
	})
	files, err := parse(flags, args, handoffHelp, operands{0, 1, "one status file"}, out)
	if err != nil {
		return err
	}
	if (len(files) == 1) == (named.url != "") {
		return usagef("handoff takes one status file, or -router URL: see licensectl handoff -help")
	}
	if named.url != "" {
		router, err := named.mustOpen()
		if err != nil {
			return err
		}
		if s.SafeStatus, err = router.status(ctx); err != nil {
			return err
		}
	} else if s.SafeStatus, err = readStatus(files[0], stdin, out); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	printStatus(out, s.SafeStatus, "")
	out.field("requests", strings.Join(s.RequestIDs, ", "))
	return out.object(s)
}

// readStatus reads a router's status answer and says what of it is left out.
func readStatus(file string, stdin io.Reader, out *output) (license.SafeStatus, error) {
	var status license.SafeStatus
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return status, err
		}
		defer opened.Close()
		stdin = opened
	}
	data, err := io.ReadAll(io.LimitReader(stdin, maxSummaryInput+1))
	switch {
	case err != nil:
		return status, err
	case len(data) > maxSummaryInput:
		return status, fmt.Errorf("that is larger than a router's status (%d bytes)", maxSummaryInput)
	case looksSecret(string(data)):
		return status, errSecret
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return status, errors.New("that is not the JSON that a router answers at /admin/license/status")
	}
	if members["payload"] != nil || members["signature"] != nil || members["keys"] != nil {
		return status, errors.New("that is a license, revocation or key file, and support never needs one: " +
			"give what the router answers at /admin/license/status")
	}
	if err := json.Unmarshal(data, &status); err != nil || members["status"] == nil {
		return status, errors.New("that is not the JSON that a router answers at /admin/license/status")
	}
	var left []string
	for name := range members {
		if !slices.Contains(safeNames, name) {
			left = append(left, printable(name))
		}
	}
	if slices.Sort(left); len(left) > 0 {
		fmt.Fprintf(out.stderr, "left out: %s\n", strings.Join(left, ", "))
	}
	return status, nil
}

var safeNames = []string{"license_id", "sku", "key_id", "expires_at", "status", "reason", "grace_active", "router_version"}

var (
	errSecret  = errors.New("that holds what looks like a password, token or key: nothing was written")
	identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/+@ -]{0,127}$`)
	codeForm   = regexp.MustCompile(`^license-[a-z-]{1,60}$`)
	secretForm = regexp.MustCompile(`(?i)-----BEGIN |\b(sk|rk|pk)_(live|test)_|\bwhsec_|\bsk-[a-z0-9_-]{16}|\bgh[pousr]_[a-z0-9]{20}|` +
		`\bAKIA[0-9A-Z]{12}|\beyJ[a-z0-9_-]{8,}\.|\b(bearer|basic)\s+[a-z0-9+/=._-]{8}|` +
		`"?(password|passwd|secret|api_?key|access_?token|private_?key|authorization|cookie)"?\s*[:=]|[a-z]+://[^/\s"]+:[^@\s"]+@`)
)

func looksSecret(text string) bool { return secretForm.MatchString(text) }

// check holds every field to its form, so that none can carry something else along.
func (s *summary) check() error {
	if len(s.RequestIDs) > maxRequestIDs {
		return usagef("-request-id may be given %d times at most", maxRequestIDs)
	}
	fields := map[string]string{"license_id": s.LicenseID, "sku": s.SKU, "key_id": s.KeyID, "router_version": s.RouterVersion}
	for i, id := range s.RequestIDs {
		fields[fmt.Sprintf("request ID %d", i+1)] = id
		if id == "" {
			return usagef("a request ID is empty")
		}
	}
	for name, value := range fields {
		if value != "" && !identifier.MatchString(value) {
			return fmt.Errorf("%s has a form that it never has: nothing was written", name)
		}
		if looksSecret(value) {
			return errSecret
		}
	}
	switch {
	case !codeForm.MatchString(string(s.Status)):
		return errors.New("status has a form that it never has: nothing was written")
	case len(s.Reason) > maxReason || printable(s.Reason) != s.Reason:
		return errors.New("reason has a form that it never has: nothing was written")
	case looksSecret(s.Reason):
		return errSecret
	}
	s.ExpiresAt = s.ExpiresAt.UTC().Truncate(time.Second)
	return nil
}

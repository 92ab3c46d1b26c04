package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// logShow prints what the log holds of one license: when it was issued and logged, and what authorized it. It asks the
// signer that runs, and reads the store itself where none does.
func logShow(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("signer log show", flag.ContinueOnError)
	path := flags.String("config", "", "configuration `file`")
	ids, err := parse(flags, args, stderr, 1)
	if err != nil {
		return err
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	entry, err := signer.NewClient(c.Socket).EntryOf(ctx, ids[0])
	var refusal *signer.Error
	if errors.As(err, &refusal) && refusal.Code == signer.CodeUnavailable {
		entry, err = offlineEntry(c, ids[0])
	}
	if err != nil {
		return err
	}
	return printEntry(stdout, entry)
}

func offlineEntry(c *config, licenseID string) (signer.Entry, error) {
	logConfig, err := c.logConfig()
	if err != nil {
		return signer.Entry{}, err
	}
	store, err := log.Open(logConfig)
	if err != nil {
		return signer.Entry{}, err
	}
	record, found, err := store.License(licenseID)
	if err == nil && !found {
		err = errors.New("no such license is in the log")
	}
	return record.Entry(), errors.Join(err, store.Close())
}

func printEntry(w io.Writer, e signer.Entry) error {
	lines := []string{
		"license      " + e.LicenseID,
		"issuance     " + e.Issuance + " under " + e.FulfillmentKey,
		"issued at    " + e.IssuedAt.UTC().Format(time.RFC3339),
		"logged at    " + e.LoggedAt.UTC().Format(time.RFC3339),
		fmt.Sprintf("leaf         %d, %s", e.Index, e.LeafHash),
	}
	if e.BaseID != "" {
		lines = append(lines, "base         "+e.BaseID)
	}
	if e.Payment != "" {
		lines = append(lines, "payment      "+e.Payment)
	}
	if e.Event != nil {
		event, err := evidence.Parse(e.Event.Body)
		if err != nil {
			return err
		}
		lines = append(lines, "event        "+event.ID+", "+event.Type+", of "+event.Created.Format(time.RFC3339))
	}
	if e.Approval != "" {
		var signed approval.Signed
		if err := strictjson.Decode([]byte(e.Approval), &signed); err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("request      approved by %d, in these words:", len(signed.Approvals)), "", strings.TrimSuffix(signed.Request, "\n"))
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

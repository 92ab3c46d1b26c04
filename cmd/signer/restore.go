package main

import (
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/witness"
)

// logRestore rebuilds a store that is gone from a witness's copy, under the trust bundle that the configuration names.
func logRestore(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("signer log restore", flag.ContinueOnError)
	path := flags.String("config", "", "configuration `file`")
	from := flags.String("from", "", "the witness's copy, a `folder`")
	signedBy := flags.String("signed-by", "", "`verifier_key` of the log's lost key; none: the copy is of the log's own")
	if _, err := parse(flags, args, stderr, 0); err != nil {
		return err
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	bundle, raw, trustErr := c.loadTrust()
	store, logErr := c.logConfig()
	if err := errors.Join(trustErr, logErr); err != nil {
		return err
	}
	verifier, err := signer.NewLogVerifier(store.Origin, store.Key.Public().(ed25519.PublicKey))
	if *signedBy != "" {
		verifier, err = note.NewVerifier(*signedBy)
	}
	if err != nil {
		return err
	}
	copied, err := witness.Read(*from, verifier)
	if err != nil {
		return err
	}
	err = log.Restore(store, verifier, copied.Signed, copied.Entries(), func(l *log.Log) error {
		if err := l.RequireSize(bundle.MinimumLog); err != nil {
			return err
		}
		return l.RememberTrust(bundle.Version, raw)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "issuance log restored: %d records, trust bundle version %d\n", copied.Checkpoint.N, bundle.Version)
	return err
}

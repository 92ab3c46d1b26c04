package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// keygen writes a new private key and prints its public part: for a license or revocation key as the trust bundle lists
// it, for a log key with the verifier key that a witness pins.
func keygen(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("signer keygen", flag.ContinueOnError)
	id := flags.String("id", "", "key `ID`; for a log key, the log's origin")
	role := flags.String("role", "", "license, revocation or log")
	out := flags.String("out", "", "private key `file` to write")
	passphraseFile := flags.String("passphrase-file", "", "`file` with the passphrase that encrypts the key")
	plain := flags.Bool("unencrypted", false, "write the key as it is")
	now := time.Now().UTC().Truncate(time.Second)
	from := flags.String("sign-from", now.Format(time.RFC3339), "start of the signing window")
	until := flags.String("sign-until", now.AddDate(1, 0, 0).Format(time.RFC3339), "end of the signing window")
	verify := flags.String("verify-until", now.AddDate(5, 0, 0).Format(time.RFC3339), "end of verification")
	if _, err := parse(flags, args, stderr, 0); err != nil {
		return err
	}
	if *id == "" || *out == "" || *role != trust.RoleLicense && *role != trust.RoleRevocation && *role != "log" ||
		(*passphraseFile == "") != *plain {
		_, _ = io.WriteString(stderr, usage)
		return errUsage
	}
	k := trust.Key{ID: *id, Role: *role, Status: trust.KeySigning}
	for text, to := range map[*string]*time.Time{from: &k.SignFrom, until: &k.SignUntil, verify: &k.VerifyUntil} {
		at, err := time.Parse(time.RFC3339, *text)
		if err != nil {
			return fmt.Errorf("keygen: %w", err)
		}
		*to = at.UTC()
	}
	var passphrase []byte
	if !*plain {
		var err error
		if passphrase, err = keys.ReadPassphrase(*passphraseFile); err != nil {
			return fmt.Errorf("keygen: %w", err)
		}
	}
	public, err := keys.Generate(*out, passphrase, rand.Reader)
	if err != nil {
		return fmt.Errorf("keygen: %w", err)
	}
	k.PublicKeyBase64 = base64.StdEncoding.EncodeToString(public)
	if *role != "log" {
		return printJSON(stdout, k)
	}
	verifier, err := note.NewEd25519VerifierKey(*id, public)
	if err != nil {
		return fmt.Errorf("keygen: %w", err)
	}
	return printJSON(stdout, map[string]string{
		"key_id": k.ID, "role": k.Role, "public_key_base64": k.PublicKeyBase64, "verifier_key": verifier,
	})
}

// keysShow prints where each key stands, what it signed, and how much of that is live. It asks the signer that runs, as one
// of the users that may, and reads the store itself where none does.
func keysShow(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("signer keys", flag.ContinueOnError)
	path := flags.String("config", "", "configuration `file`")
	asJSON := flags.Bool("json", false, "print JSON")
	if _, err := parse(flags, args, stderr, 0); err != nil {
		return err
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	status, err := signer.NewClient(c.Socket).Status(ctx)
	from := "as the running signer says"
	var refusal *signer.Error
	if errors.As(err, &refusal) && refusal.Code == signer.CodeUnavailable {
		from = "as the store says; no signer runs"
		status, err = offlineStatus(c)
	}
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(stdout, status.Keys)
	}
	if _, err := fmt.Fprintf(stdout, "trust bundle version %d, %d records logged, %s\n", status.TrustVersion, status.LogSize, from); err != nil {
		return err
	}
	return printKeys(stdout, status.Keys)
}

// offlineStatus is what a signer would say if it were started now. It changes nothing.
func offlineStatus(c *config) (signer.Status, error) {
	loaded, loadErr := c.load()
	logConfig, logErr := c.logConfig()
	if err := errors.Join(loadErr, logErr); err != nil {
		return signer.Status{}, err
	}
	store, err := log.Open(logConfig)
	if err != nil {
		return signer.Status{}, err
	}
	loaded.Log = store
	issuer, err := server.New(loaded)
	if err != nil {
		return signer.Status{}, errors.Join(err, store.Close())
	}
	return issuer.Status(), store.Close()
}

func printKeys(w io.Writer, list []signer.KeyUse) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tROLE\tSTATUS\tSIGNS FROM\tUNTIL\tVERIFIES UNTIL\tPRIVATE KEY\tSIGNS NOW\tSIGNED\tLIVE\tLAST EXPIRY")
	for _, k := range list {
		status := string(k.Status)
		if k.Role == "" {
			status = "not in the bundle"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", k.KeyID, orDash(k.Role), status, day(k.SignFrom), day(k.SignUntil),
			day(k.VerifyUntil), yes(k.PrivateKey), yes(k.SignsNow), k.Signed, k.Live, orDash(k.LastExpiry))
	}
	return t.Flush()
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

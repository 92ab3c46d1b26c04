package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

func printJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// oneFile reads the only argument of a verb and the bundle in it.
func oneFile(verb string, args []string, stderr io.Writer) (*trust.Bundle, error) {
	files, err := parse(flag.NewFlagSet("signer trust "+verb, flag.ContinueOnError), args, stderr, 1)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	return trust.Parse(raw)
}

// trustShow prints what a bundle says, signed or not.
func trustShow(args []string, stdout, stderr io.Writer) error {
	bundle, err := oneFile("show", args, stderr)
	if err != nil {
		return err
	}
	return show(stdout, bundle)
}

func show(w io.Writer, b *trust.Bundle) error {
	mode := "test"
	if b.Stripe.Livemode {
		mode = "live"
	}
	_, err := fmt.Fprintf(w, "version %d, issued %s, demo %t\nstripe %s mode, account %q\nminimum log size %d\n"+
		"caps a day: free %d (each customer %d, ever), paid %d\n", b.Version, b.IssuedAt.UTC().Format(time.RFC3339), b.Demo, mode,
		b.Stripe.Account, b.MinimumLog, b.Caps.FreePerDay, b.Caps.FreePerCustomer, b.Caps.PerDay)
	for _, k := range b.Keys {
		_, printErr := fmt.Fprintf(w, "key %s: %s, %s, signs %s to %s, verifies until %s\n", k.ID, k.Role, k.Status,
			k.SignFrom.Format(time.DateOnly), k.SignUntil.Format(time.DateOnly), k.VerifyUntil.Format(time.DateOnly))
		err = errors.Join(err, printErr)
	}
	for _, t := range b.Templates {
		price := fmt.Sprintf("%s %d.%02d", t.Price.Currency, t.Price.UnitAmount/100, t.Price.UnitAmount%100)
		if t.Price.ByContract {
			price = "by contract"
		}
		closed := ""
		if t.ClosedAt != nil {
			closed = ", closed " + t.ClosedAt.UTC().Format(time.RFC3339)
		}
		_, printErr := fmt.Fprintf(w, "template %s: %s, %s, %s%s\n", t.Ref(), t.Name, t.Channel, price, closed)
		err = errors.Join(err, printErr)
	}
	for _, a := range b.Approvers {
		_, printErr := fmt.Fprintf(w, "approver %s: %s\n", a.Name, a.Role)
		err = errors.Join(err, printErr)
	}
	return err
}

// trustCheck verifies a bundle's signatures and says what it holds.
func trustCheck(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("signer trust check", flag.ContinueOnError)
	path := flags.String("config", "", "take root keys and threshold from this configuration `file`")
	threshold := flags.Int("threshold", 0, "how many root keys must have signed")
	var lines []string
	flags.Func("root", "root `key` as OpenSSH writes it; may be given again", func(line string) error {
		lines = append(lines, line)
		return nil
	})
	files, err := parse(flags, args, stderr, 1)
	if err != nil {
		return err
	}
	if *path != "" {
		c, err := loadConfig(*path)
		if err != nil {
			return err
		}
		lines, *threshold = c.RootKeys, c.RootThreshold
	}
	roots, err := parseRoots(lines)
	if err != nil {
		return err
	}
	raw, signatures, err := trust.ReadFiles(files[0])
	if err != nil {
		return err
	}
	by, err := trust.Verify(raw, signatures, roots, *threshold)
	if err != nil {
		return err
	}
	bundle, err := trust.Parse(raw)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "signed by %d of %d root keys, %d needed\n", len(by), len(roots), *threshold)
	for _, key := range by {
		_, printErr := fmt.Fprintln(stdout, " ", ssh.FingerprintSHA256(key))
		err = errors.Join(err, printErr)
	}
	return errors.Join(err, show(stdout, bundle))
}

// trustSign signs a bundle as ssh-keygen would and writes the signature beside it. A bundle that does not parse is not
// signed.
func trustSign(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("signer trust sign", flag.ContinueOnError)
	keyPath := flags.String("key", "", "OpenSSH private key `file`, Ed25519, without passphrase")
	files, err := parse(flags, args, stderr, 1)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	if _, err := trust.Parse(raw); err != nil {
		return err
	}
	text, err := keys.ReadPrivate(*keyPath)
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey(text)
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) {
		return fmt.Errorf("the key has a passphrase; sign with: ssh-keygen -Y sign -n %s -f KEY %s", trust.Namespace, files[0])
	}
	if err != nil {
		return errors.New("not an OpenSSH private key")
	}
	signature, err := trust.Sign(signer, raw, rand.Reader)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(signer.PublicKey().Marshal())
	out := files[0] + "." + hex.EncodeToString(sum[:4]) + ".sig"
	if err := os.WriteFile(out, signature, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, out)
	return err
}

// trustRing prints the key ring file that routers are given.
func trustRing(args []string, stdout, stderr io.Writer) error {
	bundle, err := oneFile("ring", args, stderr)
	if err != nil {
		return err
	}
	ring, err := bundle.KeyRing()
	if err != nil {
		return err
	}
	return printJSON(stdout, ring)
}

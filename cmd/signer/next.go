package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// Bounds and caps of a first bundle, as the design has them.
var (
	firstBounds = trust.Bounds{ExtraMonths: 12, LimitFactor: 10}
	firstCaps   = trust.Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100}
)

// trustNext writes the next version of a bundle, with the changes that its flags ask for and none besides, so that nobody
// edits by hand what a quorum signs. Without -from it begins with the launch templates. It signs nothing.
func trustNext(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("signer trust next", flag.ContinueOnError)
	from := flags.String("from", "", "the bundle in force; none: begin with the launch templates")
	out := flags.String("out", "", "`file` to write")
	n := nextVersion{}
	n.flags(flags)
	if _, err := parse(flags, args, stderr, 0); err != nil {
		return err
	}
	if *out == "" {
		_, _ = io.WriteString(stderr, usage)
		return errUsage
	}
	b := &trust.Bundle{
		SchemaVersion: trust.SchemaVersion, Templates: catalog.Launch(), Approvers: []trust.Approver{}, Caps: firstCaps, Bounds: firstBounds,
	}
	if *from != "" {
		raw, err := os.ReadFile(*from)
		if err != nil {
			return err
		}
		if b, err = trust.Parse(raw); err != nil {
			return err
		}
	}
	b.Version++
	b.IssuedAt = time.Now().UTC().Truncate(time.Second)
	for _, change := range n.changes {
		if err := change(b); err != nil {
			return fmt.Errorf("trust next: %w", err)
		}
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if _, err := trust.Parse(text); err != nil {
		return err
	}
	f, err := os.OpenFile(*out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return show(stdout, b)
}

// nextVersion gathers the changes in the order of the flags.
type nextVersion struct{ changes []func(*trust.Bundle) error }

func (n *nextVersion) flags(flags *flag.FlagSet) {
	change := func(name, use string, f func(b *trust.Bundle, value string) error) {
		flags.Func(name, use, func(value string) error {
			n.changes = append(n.changes, func(b *trust.Bundle) error {
				if err := f(b, value); err != nil {
					return fmt.Errorf("-%s %s: %w", name, value, err)
				}
				return nil
			})
			return nil
		})
	}
	change("account", "Stripe `account`", func(b *trust.Bundle, v string) error { b.Stripe.Account = v; return nil })
	change("mode", "live or test", setMode)
	flags.BoolFunc("demo", "mark the bundle as a demo's, which may name software approvers", func(string) error {
		n.changes = append(n.changes, func(b *trust.Bundle) error { b.Demo = true; return nil })
		return nil
	})
	change("rp-id", "relying party of passkeys: the portal's `host`", func(b *trust.Bundle, v string) error { b.WebAuthn.RPID = v; return nil })
	change("origin", "add a portal `URL` where passkeys assert", func(b *trust.Bundle, v string) error {
		b.WebAuthn.Origins = append(b.WebAuthn.Origins, v)
		return nil
	})
	change("key", "add the key in a `file` that signer keygen printed", addKey)
	change("key-status", "set a key's state, `ID=STATE`", setKeyStatus)
	change("sign-until", "end a key's signing window, `ID=TIME`", setSignUntil)
	change("approver", "add the approver in a `file` that enrollment gave", addApprover)
	change("remove-approver", "remove every passkey of a `name`", removeApprover)
	change("template", "add the template version in a `file`", addTemplate)
	change("close", "close a version to new sales, `SKU@VERSION=TIME`", closeTemplate)
	change("renewals-until", "let a closed version's subscriptions renew until then, `SKU@VERSION=TIME`", setRenewals)
	change("minimum-log", "the log must hold at least `N` records", func(b *trust.Bundle, v string) error {
		_, err := fmt.Sscan(v, &b.MinimumLog)
		return err
	})
	change("free-per-day", "cap of free licenses a day", func(b *trust.Bundle, v string) error { _, err := fmt.Sscan(v, &b.Caps.FreePerDay); return err })
	change("per-day", "cap of other licenses a day", func(b *trust.Bundle, v string) error { _, err := fmt.Sscan(v, &b.Caps.PerDay); return err })
}

func setMode(b *trust.Bundle, v string) error {
	if v != "live" && v != "test" {
		return errors.New("neither live nor test")
	}
	b.Stripe.Livemode = v == "live"
	return nil
}

// readInto reads a small JSON file strictly.
func readInto(path string, to any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return strictjson.Decode(text, to)
}

func addKey(b *trust.Bundle, path string) error {
	var k trust.Key
	if err := readInto(path, &k); err != nil {
		return err
	}
	b.Keys = append(b.Keys, k)
	return nil
}

// key finds what ID=VALUE is about.
func key(b *trust.Bundle, v string) (k *trust.Key, value string, err error) {
	id, value, _ := strings.Cut(v, "=")
	i := slices.IndexFunc(b.Keys, func(k trust.Key) bool { return k.ID == id })
	if i < 0 {
		return nil, "", errors.New("the bundle has no such key")
	}
	return &b.Keys[i], value, nil
}

func setKeyStatus(b *trust.Bundle, v string) error {
	k, status, err := key(b, v)
	if err == nil {
		k.Status = trust.KeyStatus(status)
	}
	return err
}

func setSignUntil(b *trust.Bundle, v string) error {
	k, text, err := key(b, v)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err == nil {
		k.SignUntil = at.UTC()
	}
	return err
}

func addApprover(b *trust.Bundle, path string) error {
	var a trust.Approver
	if err := readInto(path, &a); err != nil {
		return err
	}
	b.Approvers = append(b.Approvers, a)
	return nil
}

func removeApprover(b *trust.Bundle, name string) error {
	left := slices.DeleteFunc(slices.Clone(b.Approvers), func(a trust.Approver) bool { return a.Name == name })
	if len(left) == len(b.Approvers) {
		return errors.New("the bundle has no such approver")
	}
	b.Approvers = left
	return nil
}

func addTemplate(b *trust.Bundle, path string) error {
	var t catalog.Template
	if err := readInto(path, &t); err != nil {
		return err
	}
	newest, _ := b.Newest(t.SKU)
	if t.Version != newest.Version+1 {
		return fmt.Errorf("the next version of %s is %d", t.SKU, newest.Version+1)
	}
	b.Templates = append(b.Templates, t)
	return nil
}

// template finds what SKU@VERSION=TIME is about.
func template(b *trust.Bundle, v string) (*catalog.Template, time.Time, error) {
	ref, text, _ := strings.Cut(v, "=")
	at, err := time.Parse(time.RFC3339, text)
	i := slices.IndexFunc(b.Templates, func(t catalog.Template) bool { return t.Ref() == ref })
	if i < 0 {
		err = cmp.Or(err, errors.New("the bundle has no such template version"))
		return nil, at, err
	}
	return &b.Templates[i], at.UTC(), err
}

func closeTemplate(b *trust.Bundle, v string) error {
	t, at, err := template(b, v)
	if err == nil {
		t.ClosedAt = &at
	}
	return err
}

func setRenewals(b *trust.Bundle, v string) error {
	t, at, err := template(b, v)
	if err == nil {
		t.RenewalsUntil = &at
	}
	return err
}

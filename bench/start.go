package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/crypto/ssh"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	signerlog "github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// startBound is how long the signer may take from its start to its first answer.
const startBound = 100 * time.Millisecond

// starting measures how long the signer takes from exec to its first answer, as it is installed: a program without C, its
// keys encrypted, its log of l.records records checked as every start checks it.
func starting(ctx context.Context, l *lab) ([]result, error) {
	dir, err := os.MkdirTemp(l.dir, "s")
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "signer")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "github.com/metrum-ai/licensing-portal/cmd/signer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := install(ctx, dir, l.records); err != nil {
		return nil, err
	}
	info, err := os.Stat(filepath.Join(dir, "log.db"))
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	var anonymous []int
	for range l.rounds {
		t, kib, err := l.startOnce(ctx, program, dir)
		if err != nil {
			return nil, err
		}
		took, anonymous = append(took, t), append(anonymous, kib)
	}
	name := fmt.Sprintf("signer, start with %d records, %d MB of store", l.records, info.Size()>>20)
	return []result{
		within(name, median(took), startBound, "a bound"),
		{name: name + ", anonymous memory", ours: fmt.Sprintf("%.1f MiB", float64(median(anonymous))/1024)},
	}, nil
}

// startOnce starts the signer, waits for its first answer, reads its anonymous memory, and ends it.
func (l *lab) startOnce(ctx context.Context, program, dir string) (took time.Duration, kib int, err error) {
	cmd := exec.CommandContext(ctx, program, "serve", "-config", filepath.Join(dir, "config.json"))
	var told strings.Builder
	cmd.Stderr = &told
	client := signer.NewClient(filepath.Join(dir, socketName))
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		if stopErr := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); stopErr != nil {
			err = errors.Join(err, stopErr, errors.New(told.String()))
		}
	}()
	for {
		status, err := client.Status(ctx)
		took = time.Since(began)
		if err == nil && status.Ready && status.LogSize == uint64(l.records) {
			break
		}
		if took > time.Minute {
			return 0, 0, fmt.Errorf("the signer does not answer: %w", err)
		}
		time.Sleep(100 * time.Microsecond)
	}
	kib, err = anonymousMemory(cmd.Process.Pid)
	return took, kib, err
}

// anonymousMemory is a process's memory that no file backs, in KiB. Pages of the store count elsewhere: the kernel may drop
// them.
func anonymousMemory(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
		}
	}
	return 0, errors.New("the kernel does not tell anonymous memory")
}

// install makes a signer's folder with encrypted keys, a signed bundle and a log of so many records.
func install(ctx context.Context, dir string, records int) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	passphrase := []byte(rand.Text() + rand.Text())
	license, licenseErr := keys.Generate(at("license.pem"), passphrase, rand.Reader)
	_, logErr := keys.Generate(at("log.pem"), passphrase, rand.Reader)
	if err := errors.Join(licenseErr, logErr); err != nil {
		return err
	}
	bundle, _, _, err := found(time.Now())
	if err != nil {
		return err
	}
	bundle.Keys[0].PublicKeyBase64 = base64.StdEncoding.EncodeToString(license)
	raw, err := json.Marshal(bundle)
	if err != nil {
		return err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	root, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return err
	}
	signature, err := trust.Sign(root, raw, rand.Reader)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"socket": socketName, "store": "log.db", "trust": "trust.json", "root_keys": []string{string(ssh.MarshalAuthorizedKey(root.PublicKey()))},
		"root_threshold": 1, "keys": []any{map[string]any{"key_id": licenseKey, "private_key_file": "license.pem"}},
		"passphrase_file": "passphrase", "log_key_file": "log.pem", "log_origin": "bench/log",
		"webhook_secrets": []any{map[string]any{"file": "webhook"}}, "allowed_uids": []int{},
	})
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"passphrase": passphrase, "webhook": []byte(webhookSecret), "trust.json": raw, "trust.json.root.sig": signature, "config.json": config,
	} {
		if err := os.WriteFile(at(name), text, 0o600); err != nil {
			return err
		}
	}
	key, err := keys.Load(at("log.pem"), passphrase)
	if err != nil {
		return err
	}
	return fill(ctx, signerlog.Config{Path: at("log.db"), Origin: "bench/log", Key: key, Commit: func(tx *bbolt.Tx) error {
		tx.DB().NoSync = true // nobody bought these
		return tx.Commit()
	}}, records)
}

// fill logs records as large as those of packs that were sold, over a year and a half.
func fill(ctx context.Context, c signerlog.Config, records int) (err error) {
	template, err := packTemplate()
	if err != nil {
		return err
	}
	body, header, err := packSession(template, 0).event(time.Now())
	if err != nil {
		return err
	}
	envelope := []byte(rand.Text() + strings.Repeat("license ", 180)) // about 1.4 KiB, as a pack's file is
	if err := signerlog.Init(c); err != nil {
		return err
	}
	store, err := signerlog.Open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	next := make(chan int, 256)
	failed := make(chan error, 64)
	var callers sync.WaitGroup
	for range cap(failed) {
		callers.Go(func() {
			for n := range next {
				day := time.Unix(0, 0).AddDate(60, 0, n%540).Format(time.DateOnly)
				_, err := store.Append(ctx, signerlog.Record{
					Kind: signerlog.KindIssuance, FulfillmentKey: fmt.Sprintf("ord_%012d", n), LicenseID: fmt.Sprintf("lic_%012d", n),
					IntentSHA256: strings.Repeat("a", 64), Issuance: "new", Payment: fmt.Sprintf("pi_%012d", n), Event: body, SignatureHeader: header,
					Envelope: envelope, IssuedAt: time.Now(),
				}, []signerlog.Counter{
					{Name: "paid/" + day, Limit: signerlog.NoLimit}, {Name: "signed/" + licenseKey, Limit: signerlog.NoLimit},
					{Name: "expires/" + licenseKey + "/" + day, Limit: signerlog.NoLimit},
				})
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for n := range records {
		select {
		case next <- n:
			continue
		case err := <-failed:
			close(next)
			return err
		}
	}
	close(next)
	callers.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

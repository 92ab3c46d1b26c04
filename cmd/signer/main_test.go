package main

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/internal/witness"
)

const (
	secret     = "whsec_0123456789abcdef"
	passphrase = "correct horse battery staple, 32 bytes at least"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"signer": main,
		"fixture": func() {
			if err := fixture(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
		"faulty": func() {
			if err := faulty(os.Args[1], os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
		"fulldisk": func() {
			if err := fullDisk(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(env *testscript.Env) error {
		env.Setenv("GORACE", "atexit_sleep_ms=0") // else each process waits a second at its end under the race detector
		return nil
	}})
}

// fixture makes what stands around a signer: root keys, a configuration, a bundle, and the portal that asks.
func fixture(args []string) error {
	switch args[0] {
	case "surroundings":
		return surroundings(".")
	case "bundle": // bundle VERSION KEY.json
		return bundle(".", args[1], args[2])
	case "wait":
		return wait()
	case "approver": // approver NAME ROLE: a software approver's entry in a bundle; its key is NAME.pem
		return approver(args[1], trust.Role(args[2]))
	case "rotation": // rotation KEY_ID AT_MOST BUNDLE OUT: proposed by Ann, approved by Bob and Cleo
		return rotation(args[1], args[2], args[3], args[4])
	case "replace": // replace APPROVAL BASE OUT
		return replace(args[1], args[2], args[3])
	case "verify": // verify RING LICENSE
		return verify(args[1], args[2])
	case "id": // id LICENSE.json
		return printID(args[1])
	case "reload": // reload VERSION
		return reloadTo(args[1])
	case "hangup":
		return signalTo(syscall.SIGHUP)
	case "stop": // and not strace, where it runs under it
		return signalTo(syscall.SIGTERM)
	case "await": // await FILE TEXT
		return awaitText(args[1], args[2])
	case "sockets": // sockets TRACE
		return sockets(args[1])
	case "calls": // calls TRACE
		return allowedCalls(args[1])
	case "pay": // pay ORDER OUT
		return pay(args[1], args[2])
	case "failed": // until the signer says that its log failed
		return failed()
	case "crowd": // crowd ORDER N OUT: so many ask at once, and all get the same
		return crowd(args[1], args[2], args[3])
	case "logged": // logged INDEX OUT: the file in the log
		return logged(args[1], args[2])
	case "spoil": // spoil FILE TEXT: change one byte of the text wherever it stands
		return spoil(args[1], args[2])
	case "look": // look SIZE: a witness looks once, and then its copy has so many entries
		return look(args[1])
	}
	return errors.New("unknown fixture")
}

func surroundings(dir string) error {
	var roots []string
	for _, name := range []string{"root1", "root2"} {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		block, err := ssh.MarshalPrivateKey(private, name)
		if err != nil {
			return err
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			return err
		}
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		roots = append(roots, line)
		if err := errors.Join(os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600),
			os.WriteFile(filepath.Join(dir, name+".pub"), []byte(line), 0o600)); err != nil {
			return err
		}
	}
	text, err := json.Marshal(config{
		Socket: "s", Store: "log.db", Trust: "trust.json", RootKeys: roots, RootThreshold: 2,
		Keys: []keyFile{{KeyID: "license-1", PrivateKeyFile: "license.pem"}}, LogKeyFile: "log.pem", LogOrigin: "test/log",
		PassphraseFile: "passphrase",
		WebhookSecrets: []secretFile{{File: "secret"}}, AllowedUIDs: []int{},
	})
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600),
		os.WriteFile(filepath.Join(dir, "secret"), []byte(secret+"\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "passphrase"), []byte(passphrase+"\n"), 0o600))
}

func bundle(dir, version, keyFile string) error {
	text, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return err
	}
	b := trust.Bundle{
		SchemaVersion: 1, IssuedAt: time.Now().UTC().Truncate(time.Second), Demo: true, Stripe: trust.Stripe{Account: "acct_1"},
		Templates: catalog.Launch(), Approvers: []trust.Approver{}, Caps: trust.Caps{FreePerDay: 20, FreePerCustomer: 1, PerDay: 100},
		Keys: make([]trust.Key, 1),
	}
	if _, err := fmt.Sscan(version, &b.Version); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &b.Keys[0]); err != nil {
		return err
	}
	out, err := json.MarshalIndent(b, "", "  ")
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "trust.json"), out, 0o600))
}

// patience is how long what must happen may take on a busy machine.
const patience = time.Minute

func wait() error {
	client := signer.NewClient("s")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		if status, err := client.Status(context.Background()); err == nil && status.Ready {
			return nil
		}
	}
	return errors.New("no signer answers")
}

// noAnswer tells of a signer that did not come to answer, so that one may ask again.
func noAnswer(err error) bool {
	var refusal *signer.Error
	return errors.As(err, &refusal) && (refusal.Code == signer.CodeOverloaded || refusal.Code == signer.CodeUnavailable)
}

// reloadTo sends the signer a hangup and waits until it is under a version of the trust bundle.
func reloadTo(version string) error {
	client, end := signer.NewClient("s"), time.Now().Add(patience)
	before, err := client.Status(context.Background())
	for ; noAnswer(err) && time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		before, err = client.Status(context.Background())
	}
	if err != nil {
		return err
	}
	pid, err := signerPID()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return err
	}
	for ; time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		var status signer.Status
		if status, err = client.Status(context.Background()); noAnswer(err) {
			continue
		}
		if err != nil {
			return err
		}
		if fmt.Sprint(status.TrustVersion) == version {
			if !status.StartedAt.Equal(before.StartedAt) {
				return errors.New("the signer was started again")
			}
			return nil
		}
	}
	return errors.Join(err, errors.New("the signer did not come to version "+version))
}

// signerPID asks the kernel who listens on the socket.
func signerPID() (int, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: "s", Net: "unix"})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(controlErr, err); err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}

// pay asks for a credit pack and writes its license.
func pay(order, out string) error {
	event, err := paidEvent(order)
	if err != nil {
		return err
	}
	envelope, err := signer.NewClient("s").Issue(context.Background(), signer.IssueRequest{Event: event})
	if err != nil {
		return err
	}
	return os.WriteFile(out, envelope, 0o600)
}

// paidEvent is an event whose time is noted in a file, so that it can be sent again.
func paidEvent(order string) (*signer.Event, error) {
	name := order + ".event"
	body, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		now := time.Now().Unix()
		intent := catalog.Intent{
			OrderID: order, Kind: catalog.IssueNew, Template: "credit-pack-5m@1", Quantity: 1, CustomerID: "cust_1", DeploymentID: "dep_1",
			Environments: []string{"production"},
		}
		body, err = json.Marshal(map[string]any{
			"id": "evt_" + order, "object": "event", "api_version": "2023-10-16", "created": now, "livemode": false,
			"type": "checkout.session.completed", "data": map[string]any{"object": map[string]any{
				"id": "cs_" + order, "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid",
				"currency": "usd", "amount_subtotal": 25000, "amount_total": 25000, "created": now, "livemode": false,
				"metadata": intent.Metadata(),
			}},
		})
		err = errors.Join(err, os.WriteFile(name, body, 0o600))
	}
	if err != nil {
		return nil, err
	}
	at := time.Now().Unix()
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at, body)
	return &signer.Event{Body: body, SignatureHeader: fmt.Sprintf("t=%d,v1=%s", at, hex.EncodeToString(mac.Sum(nil)))}, nil
}

// look is one look of a witness that keeps its copy in the folder copy.
func look(size string) error {
	key, err := keys.Load("log.pem", []byte(passphrase))
	if err != nil {
		return err
	}
	verifier, err := signer.NewLogVerifier("test/log", key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	w, err := witness.Open(witness.Config{
		Source: signer.NewClient("s"), Verifier: verifier, Dir: "copy", Poll: time.Second, Silence: time.Minute, Now: time.Now,
	})
	if err != nil {
		return err
	}
	if err = errors.Join(w.Look(context.Background()), w.Close()); err == nil && fmt.Sprint(w.Size()) != size {
		err = fmt.Errorf("the copy has %d entries", w.Size())
	}
	return err
}

// TestTheSignerLinksNothingOfThePortal keeps the reviewed program small and without network clients.
func TestTheSignerLinksNothingOfThePortal(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.SplitSeq(string(out), "\n") {
		for _, forbidden := range []string{
			"jackc/pgx", "stripe/", "go-chi/", "a-h/templ", "riverqueue", "/internal/postgres", "/web", "/internal/billing",
			"/internal/account", "/internal/jobs", "/internal/mail", "/internal/fulfillment", "/internal/stripesim",
		} {
			if strings.Contains(dep, forbidden) && !strings.HasPrefix(dep, "golang.org/") {
				t.Errorf("cmd/signer links %s", dep)
			}
		}
	}
	if !strings.Contains(string(out), "/internal/signer/server\n") {
		t.Error("the list of dependencies is not the signer's")
	}
}

func printID(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var e struct {
		Payload struct {
			LicenseID string `json:"license_id"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	fmt.Println(e.Payload.LicenseID)
	return nil
}

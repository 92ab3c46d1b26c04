package main

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// prototype is the smallest signer that is still synced: it checks the event's HMAC, signs, and appends to a file, a group
// of requests a transaction. It decides nothing, keeps no tree and no counters, and trusts what it decodes.
type prototype struct {
	db      *bbolt.DB
	key     ed25519.PrivateKey
	claims  string
	appends chan *appended
}

// appended is a record on its way to the disk.
type appended struct {
	key, value []byte
	done       chan error
}

var issued = []byte("issued")

func servePrototype(ctx context.Context, dir string, stdin io.Reader, stdout io.Writer) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	_, canonical, _, _, err := sample(time.Now())
	if err != nil {
		return err
	}
	db, err := bbolt.Open(filepath.Join(dir, "log.db"), 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(issued)
		return err
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	p := &prototype{db: db, key: private, claims: string(canonical), appends: make(chan *appended, 64)}
	listener, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		return errors.Join(err, db.Close())
	}
	ctx = untilEOF(ctx, stdin)
	go p.write(ctx)
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if _, err := io.WriteString(stdout, ready); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil // the file goes with its directory
}

func (p *prototype) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	envelope, err := p.issue(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(envelope) // the caller went away
}

func (p *prototype) issue(r *http.Request) ([]byte, error) {
	var request signer.IssueRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	if request.Event == nil || !signedByStripe(*request.Event) {
		return nil, errors.New("not signed")
	}
	var event struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(request.Event.Body, &event); err != nil {
		return nil, err
	}
	message := p.claims + event.ID
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(p.key, []byte(message)))
	record := &appended{[]byte(event.ID), []byte(message + signature), make(chan error, 1)}
	p.appends <- record
	return record.value, <-record.done
}

// signedByStripe checks "t=…,v1=…".
func signedByStripe(e signer.Event) bool {
	stamp, signature, _ := strings.Cut(strings.TrimPrefix(e.SignatureHeader, "t="), ",v1=")
	given, err := hex.DecodeString(signature)
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write([]byte(stamp + "."))
	mac.Write(e.Body)
	return err == nil && hmac.Equal(given, mac.Sum(nil))
}

// write syncs whatever has gathered while the last group was synced.
func (p *prototype) write(ctx context.Context) {
	for {
		var group []*appended
		select {
		case <-ctx.Done():
			return
		case first := <-p.appends:
			group = append(group, first)
		}
		for more := true; more; {
			select {
			case next := <-p.appends:
				group = append(group, next)
			default:
				more = false
			}
		}
		err := p.db.Update(func(tx *bbolt.Tx) error {
			for _, a := range group {
				if err := tx.Bucket(issued).Put(a.key, a.value); err != nil {
					return err
				}
			}
			return nil
		})
		for _, a := range group {
			a.done <- err
		}
	}
}

package stripesim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The kinds of objects kept, each with a table of its own.
const (
	kindProduct      = "product"
	kindPrice        = "price"
	kindTaxRate      = "tax_rate"
	kindCustomer     = "customer"
	kindBalance      = "customer_balance_transaction"
	kindSession      = "checkout.session"
	kindMethod       = "payment_method"
	kindSetup        = "setup_intent"
	kindIntent       = "payment_intent"
	kindCharge       = "charge"
	kindRefund       = "refund"
	kindDispute      = "dispute"
	kindWarning      = "radar.early_fraud_warning"
	kindReview       = "review"
	kindInvoice      = "invoice"
	kindInvoiceItem  = "invoiceitem"
	kindCreditNote   = "credit_note"
	kindQuote        = "quote"
	kindSubscription = "subscription"
	kindPortal       = "billing_portal.session"
	kindPortalConfig = "billing_portal.configuration"
	kindEvent        = "event"
	kindEndpoint     = "webhook_endpoint"
)

func objectKinds() []string {
	return []string{
		kindProduct, kindPrice, kindTaxRate, kindCustomer, kindBalance, kindSession, kindMethod, kindSetup, kindIntent,
		kindCharge, kindRefund, kindDispute, kindWarning, kindReview, kindInvoice, kindInvoiceItem, kindCreditNote,
		kindQuote, kindSubscription, kindPortal, kindPortalConfig, kindEvent, kindEndpoint,
	}
}

// record is one stored object.
type record struct {
	Body    object `json:"body"`              // as the API shows it
	Private object `json:"private,omitempty"` // what only the stand-in knows
	// ObjectPatch and EventPatch are what a test laid over the object as the
	// API shows it and as events tell it.
	ObjectPatch object `json:"object_patch,omitempty"`
	EventPatch  object `json:"event_patch,omitempty"`
}

func (r *record) clone() *record {
	return &record{
		Body: r.Body.clone(), Private: r.Private.clone(),
		ObjectPatch: r.ObjectPatch.clone(), EventPatch: r.EventPatch.clone(),
	}
}

// persistent is what the store needs of a table to write and read it.
type persistent interface {
	bucket() string
	encode(id string) ([]byte, error)
	load(each func(func(id string, data []byte) error) error) error
}

// store is the whole state: in memory, with a file behind it. The mutex makes
// every transaction alone.
type store struct {
	mu         sync.Mutex
	db         *bolt.DB // nil: memory only
	objects    map[string]*table[record]
	deliveries *table[delivery]
	keys       *table[savedAnswer]
	settings   *table[settings]
}

// openStore reads dir's state, or starts an empty one.
func openStore(dir string) (*store, error) {
	st := &store{
		objects:    map[string]*table[record]{},
		deliveries: newTable("delivery", (*delivery).isOpen),
		keys:       newTable[savedAnswer]("idempotency_key", nil),
		settings:   newTable[settings]("settings", nil),
	}
	for _, kind := range objectKinds() {
		st.objects[kind] = newTable(kind, func(r *record) bool { return dueAt(r) != 0 })
	}
	if dir == "" {
		return st, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create state directory: %w", err)
	}
	db, err := bolt.Open(filepath.Join(dir, "stripesim.db"), 0o600, &bolt.Options{Timeout: 2 * time.Second})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("open state in %s: another stand-in uses it", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open state in %s: %w", dir, err)
	}
	st.db = db
	if err := st.loadAll(); err != nil {
		return nil, errors.Join(fmt.Errorf("read state in %s: %w", dir, err), db.Close())
	}
	return st, nil
}

func (st *store) tables() []persistent {
	out := []persistent{st.deliveries, st.keys, st.settings}
	for _, kind := range objectKinds() {
		out = append(out, st.objects[kind])
	}
	return out
}

func (st *store) loadAll() error {
	return st.db.Update(func(btx *bolt.Tx) error {
		for _, t := range st.tables() {
			b, err := btx.CreateBucketIfNotExists([]byte(t.bucket()))
			if err != nil {
				return err
			}
			err = t.load(func(row func(string, []byte) error) error {
				return b.ForEach(func(k, v []byte) error { return row(string(k), v) })
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// write stores the rows named in dirty, all or none.
func (st *store) write(dirty map[persistent]map[string]bool) error {
	if st.db == nil || len(dirty) == 0 {
		return nil
	}
	return st.db.Update(func(btx *bolt.Tx) error {
		for t, ids := range dirty {
			b := btx.Bucket([]byte(t.bucket()))
			for id := range ids {
				data, err := t.encode(id)
				if err != nil {
					return err
				}
				if data == nil {
					err = b.Delete([]byte(id))
				} else {
					err = b.Put([]byte(id), data)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (st *store) close() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.db == nil {
		return nil
	}
	return st.db.Close()
}

package fulfillment_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func TestADraftTellsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	cases := []struct {
		name   string
		change func(*fulfillment.DraftRequest)
		fields string
	}{
		{"everything at once", func(r *fulfillment.DraftRequest) {
			r.Environments, r.Fingerprints, r.DeploymentName = nil, []string{"a,b", "ok"}, " "
		}, "environment fingerprint_1 deployment_name"},
		{"an environment of another package", func(r *fulfillment.DraftRequest) { r.Environments = []string{"evaluation"} }, "environment"},
		{"two lines in a fingerprint", func(r *fulfillment.DraftRequest) { r.Fingerprints = []string{"a\nb"} }, "fingerprint_1"},
		{"a long fingerprint", func(r *fulfillment.DraftRequest) { r.Fingerprints = []string{strings.Repeat("x", 201)} }, "fingerprint_1"},
		{"more fingerprints than instances", func(r *fulfillment.DraftRequest) { r.Fingerprints = []string{"a", "b"} }, "fingerprint_2"},
		{"a fingerprint twice", func(r *fulfillment.DraftRequest) { r.Fingerprints = []string{"a", "a"} }, "fingerprint_2"},
		{"a fingerprint where none is taken", func(r *fulfillment.DraftRequest) {
			r.SKU, r.Environments, r.Fingerprints = "eval-72h", []string{"evaluation"}, []string{"a"}
		}, "fingerprint_1"},
		{"a long name", func(r *fulfillment.DraftRequest) { r.DeploymentName = strings.Repeat("ü", 61) }, "deployment_name"},
		{"a control character in a name", func(r *fulfillment.DraftRequest) { r.DeploymentName = "a\x00b" }, "deployment_name"},
		{"another's deployment", func(r *fulfillment.DraftRequest) { r.DeploymentID = "dep_other" }, "deployment_id"},
		{"no such package", func(r *fulfillment.DraftRequest) { r.SKU = "everything" }, "sku"},
		{"a package by quote", func(r *fulfillment.DraftRequest) { r.SKU = "enterprise-annual" }, "sku"},
		{"a renewal by subscription", func(r *fulfillment.DraftRequest) {
			r.SKU, r.Kind, r.BaseLicenseID = "hosted-instance-monthly", catalog.IssueRenewal, "lic_other"
		}, "base"},
		{"another's base", func(r *fulfillment.DraftRequest) { r.Kind, r.BaseLicenseID = catalog.IssueTopUp, "lic_other" }, "base"},
		{"no kind", func(r *fulfillment.DraftRequest) { r.Kind = "gift" }, "sku"},
	}
	for _, test := range cases {
		r := c.request("credit-pack-5m")
		test.change(&r)
		_, err := c.orders.Draft(t.Context(), r)
		wrong, ok := errors.AsType[*fulfillment.ValidationError](err)
		if !ok {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var fields []string
		for _, f := range wrong.Fields {
			fields = append(fields, f.Field)
			if !strings.HasSuffix(f.Message, ".") {
				t.Errorf("%s: not a sentence: %q", test.name, f.Message)
			}
		}
		if strings.Join(fields, " ") != test.fields {
			t.Errorf("%s: mistakes in %v", test.name, fields)
		}
	}
	if n := w.count("SELECT count(*) FROM orders"); n != 0 {
		t.Errorf("%d orders were stored", n)
	}
}

func TestAFormSentTwiceMakesOneOrderWhichCanBeChangedUntilItIsPaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	r := c.request("credit-pack-5m")
	o := c.draft(r)
	if again := c.draft(r); again.ID != o.ID {
		t.Error("the same form made a second order")
	}
	r.OrderID, r.SKU, r.DeploymentName = o.ID, "credit-pack-25m", "Main router"
	changed := c.draft(r)
	if changed.ID != o.ID || changed.Snapshot.Total != 100000 || changed.DeploymentName != "Main router" {
		t.Errorf("%+v", changed)
	}
	c.checkout(changed)
	if _, err := c.orders.Draft(t.Context(), r); !errors.Is(err, fulfillment.ErrFrozen) {
		t.Errorf("changing a frozen order: %v", err)
	}
	// The name is taken now, in any case; the deployment itself can be chosen.
	next := c.request("credit-pack-5m")
	next.DeploymentName = "MAIN ROUTER"
	if _, err := c.orders.Draft(t.Context(), next); err == nil {
		t.Error("a second deployment of one name")
	}
	deployments, err := c.library.Deployments(t.Context(), c.organization)
	w.must(err)
	next.DeploymentID, next.DeploymentName = deployments[0].ID, ""
	if o := c.draft(next); o.DeploymentName != "Main router" || o.DeploymentID != changed.DeploymentID {
		t.Errorf("%+v", o)
	}
}

func TestTwoDraftsOfOneNewNameMeetAtCheckout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	r := c.request("credit-pack-5m")
	first := c.draft(r)
	r.FormKey += "2"
	second := c.draft(r)
	c.checkout(first)
	_, err := c.orders.Checkout(t.Context(), c.organization, second.ID)
	wrong, ok := errors.AsType[*fulfillment.ValidationError](err)
	if !ok || wrong.Fields[0].Field != "deployment_name" {
		t.Errorf("%v", err)
	}
}

func TestNobodyReadsAnothersOrdersAndLicenses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	mine, other := w.customer(), w.customerAt("Stranger", "stranger@elsewhere.example")
	l := mine.buy(mine.request("credit-pack-5m"))
	open := mine.draft(mine.request("credit-pack-5m"))
	link, token, err := mine.library.CreateLink(t.Context(), mine.organization, l.ID, mine.user)
	w.must(err)
	ctx := t.Context()
	calls := map[string]func(organization string) error{
		"order":    func(o string) error { _, err := w.orders.Order(ctx, o, open.ID); return err },
		"checkout": func(o string) error { _, err := w.orders.Checkout(ctx, o, open.ID); return err },
		"cancel":   func(o string) error { return w.orders.Cancel(ctx, o, open.ID) },
		"license":  func(o string) error { _, err := w.library.License(ctx, o, l.ID); return err },
		"download": func(o string) error { _, err := w.library.Download(ctx, o, l.ID, other.user); return err },
		"mark":     func(o string) error { return w.library.MarkInstalled(ctx, o, l.ID, true) },
		"link":     func(o string) error { _, _, err := w.library.CreateLink(ctx, o, l.ID, other.user); return err },
		"revoke":   func(o string) error { return w.library.RevokeLink(ctx, o, link.ID) },
	}
	for name, call := range calls {
		if err := call(other.organization); !errors.Is(err, fulfillment.ErrNotFound) {
			t.Errorf("a stranger's %s: %v", name, err)
		}
	}
	for name, list := range map[string]func() (int, error){
		"licenses": func() (int, error) {
			l, _, err := w.library.Licenses(ctx, other.organization, fulfillment.FilterAll, fulfillment.Page{})
			return len(l), err
		},
		"orders": func() (int, error) {
			l, _, err := w.orders.Orders(ctx, other.organization, fulfillment.OrdersAll, fulfillment.Page{})
			return len(l), err
		},
		"lineage": func() (int, error) {
			l, err := w.library.Lineage(ctx, other.organization, l.DeploymentID)
			return len(l), err
		},
		"links":       func() (int, error) { l, err := w.library.Links(ctx, other.organization, l.ID); return len(l), err },
		"deployments": func() (int, error) { l, err := w.library.Deployments(ctx, other.organization); return len(l), err },
	} {
		if n, err := list(); err != nil || n != 0 {
			t.Errorf("a stranger's %s: %d, %v", name, n, err)
		}
	}
	// A link opens for its token alone, until it is revoked.
	for _, bad := range []string{"", link.ID, link.ID + ".", token + "x", strings.ToUpper(token), "lnk_x" + token} {
		if _, err := w.library.DownloadByLink(ctx, bad); !errors.Is(err, fulfillment.ErrNotFound) {
			t.Errorf("token %q: %v", bad, err)
		}
	}
	w.must(mine.library.RevokeLink(ctx, mine.organization, link.ID))
	if _, err := w.library.DownloadByLink(ctx, token); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("revoked link: %v", err)
	}
	if peeked, _, err := w.library.PeekLink(ctx, token); err != nil || peeked.RevokedAt.IsZero() || peeked.Downloads != 0 {
		t.Errorf("%+v, %v", peeked, err)
	}
}

func TestListsArePagedWithoutGapOrRepetition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	var made, seen []string
	for range 60 {
		made = append(made, c.draft(c.request("credit-pack-5m")).ID)
	}
	var page fulfillment.Page
	for n := 0; ; n++ {
		orders, next, err := c.orders.Orders(t.Context(), c.organization, fulfillment.OrdersAll, page)
		w.must(err)
		for _, o := range orders {
			seen = append(seen, o.ID)
		}
		if page.Cursor = next; next == "" {
			break
		}
		if len(orders) != 25 || n > 3 {
			t.Fatalf("page %d has %d rows", n, len(orders))
		}
	}
	slices.Reverse(seen)
	if !slices.Equal(made, seen) {
		t.Error("pages are not the orders, newest first")
	}
	for _, cursor := range []string{"x", "AAAA", "\x00", "MTIzIABh"} {
		if _, _, err := c.orders.Orders(t.Context(), c.organization, fulfillment.OrdersAll, fulfillment.Page{Cursor: cursor}); !errors.Is(err, fulfillment.ErrNotFound) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

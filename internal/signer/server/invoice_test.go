package server

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
)

// invoice is an invoice.paid event in the making: the object's members by name, changed as a case wants.
type invoice struct {
	created time.Time
	object  map[string]any
	line    map[string]any
	more    []any // further lines
}

func paidInvoice(intent catalog.Intent, price int64) *invoice {
	return &invoice{
		created: start,
		object: map[string]any{
			"id": invoiceID(intent.OrderID), "object": "invoice", "status": "paid", "paid": true, "paid_out_of_band": false, "livemode": false,
			"billing_reason": "manual", "currency": "usd", "amount_paid": price, "tax": nil, "created": start.Add(-time.Hour).Unix(),
			"payment_intent": "pi_" + intent.OrderID, "metadata": intent.Metadata(), "subscription_details": nil,
		},
		line: map[string]any{
			"id": "il_1", "quantity": 1, "amount": price, "proration": false,
			"price":  map[string]any{"lookup_key": lookupKey(intent.Template)},
			"period": map[string]any{"start": start.Unix(), "end": start.Unix()},
		},
	}
}

func invoiceID(order string) string { return "in_" + strings.ReplaceAll(order, "_", "") }

func lookupKey(template string) string {
	for _, t := range catalog.Launch() {
		if t.Ref() == template {
			return t.LookupKey()
		}
	}
	return ""
}

// cycle is a subscription's paid invoice: its intent is the subscription's.
func cycle(intent catalog.Intent, price int64, from, to time.Time) *invoice {
	i := paidInvoice(intent, price)
	i.object["billing_reason"], i.object["metadata"] = "subscription_cycle", map[string]string{}
	i.object["subscription_details"] = map[string]any{"metadata": intent.Metadata()}
	i.line["period"] = map[string]any{"start": from.Unix(), "end": to.Unix()}
	return i
}

func (i *invoice) event() *signer.Event {
	object := maps.Clone(i.object)
	object["lines"] = map[string]any{"object": "list", "has_more": i.object["has_more"] == true, "data": append([]any{i.line}, i.more...)}
	delete(object, "has_more")
	text, err := json.Marshal(map[string]any{
		"id": "evt_" + i.object["id"].(string), "object": "event", "api_version": evidence.APIVersion, "created": i.created.Unix(),
		"livemode": false, "type": "invoice.paid", "data": map[string]any{"object": object},
	})
	if err != nil {
		panic(err)
	}
	return signed(text, i.created, webhookSecret)
}

func (w *world) issueInvoice(i *invoice) ([]byte, error) {
	return w.client.Issue(w.t.Context(), signer.IssueRequest{Event: i.event()})
}

func enterprise(order string) catalog.Intent {
	return catalog.Intent{
		OrderID: order, Kind: catalog.IssueNew, Template: "enterprise-annual@1", Quantity: 1, CustomerID: "cust_1", DeploymentID: "dep_1",
		Environments: []string{"production"},
	}
}

func hosted(order string) catalog.Intent {
	return catalog.Intent{
		OrderID: order, Kind: catalog.IssueNew, Template: "hosted-instance-monthly@1", Quantity: 1, CustomerID: "cust_1", DeploymentID: "dep_1",
		Environments: []string{"staging"},
	}
}

func TestAPaidInvoiceGetsItsOrdersLicense(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	i := paidInvoice(enterprise("ord_1"), 15_000_00)
	i.object["tax"], i.object["amount_paid"] = 2_850_00, 17_850_00
	envelope, err := w.issueInvoice(i)
	if err != nil {
		t.Fatal(err)
	}
	p := w.payload(envelope)
	if p.SKU != "enterprise-annual" || !p.ExpiresAt.Equal(start.AddDate(1, 0, 0)) || p.LicenseID != catalog.LicenseID("enterprise-annual", start, "ord_1") {
		t.Errorf("got %+v", p)
	}
	record, found, err := w.store.License(p.LicenseID)
	if err != nil || !found || record.Payment != "pi_ord_1" || record.Issuance != "new" {
		t.Errorf("logged %+v, %v", record, err)
	}
}

func TestAQuotesInvoiceIsAnOrdersToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	i := paidInvoice(enterprise("ord_1"), 15_000_00)
	i.object["billing_reason"] = "quote_accept"
	if _, err := w.issueInvoice(i); err != nil {
		t.Error(err)
	}
}

func TestEveryCycleOfASubscriptionGetsALicenseToItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	seen := map[string]bool{}
	from := start
	for n := range 12 {
		to := from.AddDate(0, 1, 0)
		i := cycle(hosted("ord_sub"), 499_00, from, to)
		i.object["id"], i.object["created"], i.created = "in_"+string(rune('a'+n)), from.Unix(), from
		if n == 0 {
			i.object["billing_reason"] = "subscription_create"
		}
		w.pass(from.Sub(w.clock()))
		envelope, err := w.issueInvoice(i)
		if err != nil {
			t.Fatalf("cycle %d: %v", n, err)
		}
		if p := w.payload(envelope); !p.ExpiresAt.Equal(to) || !p.GraceUntil.Equal(to.Add(72*time.Hour)) || seen[p.LicenseID] {
			t.Errorf("cycle %d: %+v", n, p)
		} else {
			seen[p.LicenseID] = true
		}
		from = to
	}
	if w.store.Size() != 12 {
		t.Errorf("%d records", w.store.Size())
	}
}

func TestACyclesLicenseEndsWithItsPeriodHoweverLateItWasPaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	end := start.AddDate(0, 1, -3)
	i := cycle(hosted("ord_1"), 499_00, start.AddDate(0, 0, -3), end)
	envelope, err := w.issueInvoice(i)
	if err != nil {
		t.Fatal(err)
	}
	if p := w.payload(envelope); !p.ExpiresAt.Equal(end) || !p.IssuedAt.Equal(start) {
		t.Errorf("from %s to %s", p.IssuedAt, p.ExpiresAt)
	}
}

func TestAPeriodFollowsStripesAnchorButIsNoLongerThanATerm(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	day := func(month time.Month, d int) time.Time { return time.Date(2027, month, d, 9, 0, 0, 0, time.UTC) }
	w.pass(day(3, 1).Sub(start))
	for name, c := range map[string]struct {
		from, to time.Time
		want     signer.Code
	}{
		"anchored on the 31st":     {day(2, 28), day(3, 31), ""},
		"four days too long":       {day(2, 28), day(4, 1), signer.CodeIntentRefused},
		"ends before it starts":    {day(2, 28), day(2, 27), signer.CodeIntentRefused},
		"starts in the far future": {day(6, 1), day(7, 1), signer.CodeIntentRefused},
	} {
		i := cycle(hosted("ord_1"), 499_00, c.from, c.to)
		i.object["id"], i.created = "in_"+name[:4], day(2, 28)
		if _, err := w.issueInvoice(i); code(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingIsSignedForAnInvoiceThatProvesTooLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	closed := w.bundle.Templates[6]
	closed.Version, closed.Price.LookupKey = 2, "enterprise-annual.v2"
	at := start.Add(-2 * time.Hour)
	closed.ClosedAt = &at
	w.bundle.Templates = append(w.bundle.Templates, closed)
	w.serve()
	set := func(name string, value any) func(*invoice) { return func(i *invoice) { i.object[name] = value } }
	line := func(name string, value any) func(*invoice) { return func(i *invoice) { i.line[name] = value } }
	meta := func(name, value string) func(*invoice) {
		return func(i *invoice) { i.object["metadata"].(map[string]string)[name] = value }
	}
	for name, c := range map[string]struct {
		change func(*invoice)
		want   signer.Code
	}{
		"open":                        {set("status", "open"), signer.CodeUnpaid},
		"not paid":                    {set("paid", false), signer.CodeUnpaid},
		"paid out of band":            {set("paid_out_of_band", true), signer.CodeUnpaid},
		"silent about out of band":    {func(i *invoice) { delete(i.object, "paid_out_of_band") }, signer.CodeUnpaid},
		"live invoice, test event":    {set("livemode", true), signer.CodeMode},
		"another object":              {set("object", "quote"), signer.CodeEventMalformed},
		"no time":                     {set("created", nil), signer.CodeEventMalformed},
		"one cent less":               {set("amount_paid", 15_000_00-1), signer.CodeAmount},
		"one cent less, tax apart":    {set("tax", 1), signer.CodeAmount},
		"negative tax":                {set("tax", -15_000_00), signer.CodeAmount},
		"absurd amount":               {func(i *invoice) { i.object["amount_paid"], i.object["tax"] = int64(-1<<63), 1 }, signer.CodeAmount},
		"paid from a balance":         {set("amount_paid", 0), signer.CodeAmount},
		"another currency":            {set("currency", "jpy"), signer.CodeCurrency},
		"a plan change":               {set("billing_reason", "subscription_update"), signer.CodeEventType},
		"an unknown reason":           {set("billing_reason", "upcoming"), signer.CodeEventType},
		"a cheaper line":              {line("amount", 1), signer.CodeAmount},
		"two pieces":                  {line("quantity", 2), signer.CodeQuantity},
		"a proration":                 {line("proration", true), signer.CodeIntentRefused},
		"another price":               {line("price", map[string]any{"lookup_key": "credit-pack-5m.v1"}), signer.CodeTemplateUnknown},
		"a price without a name":      {line("price", map[string]any{"lookup_key": nil}), signer.CodeTemplateUnknown},
		"a price named by its dots":   {func(i *invoice) { i.line["price.lookup_key"], i.line["price"] = "enterprise-annual.v1", nil }, signer.CodeTemplateUnknown},
		"a line without quantity":     {line("quantity", nil), signer.CodeEventMalformed},
		"two lines":                   {func(i *invoice) { i.more = []any{map[string]any{"id": "il_2", "amount": 0}} }, signer.CodeIntentRefused},
		"more lines than carried":     {set("has_more", true), signer.CodeIntentRefused},
		"a template sold by checkout": {meta("template", "pilot-30d@1"), signer.CodeChannel},
		"a template by contract":      {meta("template", "marketplace-seat@1"), signer.CodeChannel},
		"a subscription's template":   {meta("template", "hosted-instance-monthly@1"), signer.CodeChannel},
		"a closed version":            {meta("template", "enterprise-annual@2"), signer.CodeTemplateClosed},
		"an unknown template":         {meta("template", "enterprise-annual@3"), signer.CodeTemplateUnknown},
		"a quantity over the limit": {func(i *invoice) {
			meta("quantity", "2")(i)
			line("quantity", 2)(i)
			set("amount_paid", 30_000_00)(i)
			line("amount", 30_000_00)(i)
		}, signer.CodeQuantity},
		"other environments": {meta("environments", "evaluation"), signer.CodeIntentRefused},
		"the intent on the subscription": {func(i *invoice) {
			i.object["subscription_details"] = map[string]any{"metadata": i.object["metadata"]}
			i.object["metadata"] = nil
		}, signer.CodeIntentMalformed},
		"from the future": {func(i *invoice) { i.created = start.Add(6 * time.Minute) }, signer.CodeTimestampOutside},
	} {
		i := paidInvoice(enterprise("ord_1"), 15_000_00)
		c.change(i)
		if envelope, err := w.issueInvoice(i); code(err) != c.want || envelope != nil {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	if w.store.Size() != 0 {
		t.Errorf("%d records", w.store.Size())
	}
}

func TestACycleProvesNothingOutsideItsSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	closed, renews := start.Add(-48*time.Hour), start.Add(-24*time.Hour)
	w.bundle.Templates[5].ClosedAt, w.bundle.Templates[5].RenewalsUntil = &closed, &renews
	w.serve()
	month := start.AddDate(0, 1, 0)
	annual := hosted("ord_1")
	annual.Template = "hosted-instance-annual@1"
	oneTime := pack("ord_1")
	for name, c := range map[string]struct {
		invoice *invoice
		want    signer.Code
	}{
		"one cent less":       {cycle(hosted("ord_1"), 499_00-1, start, month), signer.CodeAmount},
		"a one-time template": {cycle(oneTime, 250_00, start, month), signer.CodeChannel},
		"no longer renewed":   {cycle(annual, 4_990_00, start, start.AddDate(1, 0, 0)), signer.CodeTemplateClosed},
		"an order's invoice":  {paidInvoice(hosted("ord_1"), 499_00), signer.CodeChannel},
		"a year for a month":  {cycle(hosted("ord_1"), 499_00, start, start.AddDate(1, 0, 0)), signer.CodeIntentRefused},
		"a renewal with base": {cycle(catalog.Intent{OrderID: "ord_1", Kind: catalog.IssueRenewal, Template: "hosted-instance-monthly@1", Quantity: 1, CustomerID: "cust_1", DeploymentID: "dep_1", BaseID: "lic_x", BaseSHA256: digest(nil)}, 499_00, start, month), signer.CodeIntentRefused},
		"its own intent alone": {func() *invoice {
			i := cycle(hosted("ord_1"), 499_00, start, month)
			i.object["metadata"] = i.object["subscription_details"].(map[string]any)["metadata"]
			i.object["subscription_details"] = nil
			return i
		}(), signer.CodeIntentMalformed},
	} {
		if envelope, err := w.issueInvoice(c.invoice); code(err) != c.want || envelope != nil {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	i := cycle(annual, 4_990_00, start, start.AddDate(1, 0, 0))
	i.object["created"] = renews.Add(-time.Second).Unix()
	if _, err := w.issueInvoice(i); err != nil {
		t.Errorf("renewed in time: %v", err)
	}
}

package stripesim_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// stripeError wants err to be an API error with a status and a code.
func stripeError(t *testing.T, err error, status int, code stripe.ErrorCode, param string) {
	t.Helper()
	var e *stripe.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an API error", err)
	}
	if e.HTTPStatusCode != status || e.Code != code || e.Param != param {
		t.Errorf("got %d %q %q (%s), want %d %q %q", e.HTTPStatusCode, e.Code, e.Param, e.Msg, status, code, param)
	}
	if e.RequestID == "" {
		t.Error("the error has no request ID")
	}
}

func TestCatalogObjectsKeepTheirFields(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	pp := &stripe.ProductParams{ID: stripe.String("prod_pack"), Name: stripe.String("Pack"), Description: stripe.String("Five million")}
	pp.AddMetadata("sku", "credit-pack-5m")
	product, err := h.sdk.Products.New(pp)
	h.must(err)
	if product.ID != "prod_pack" || product.Metadata["sku"] != "credit-pack-5m" || !product.Active || product.Livemode {
		t.Errorf("product: %+v", product)
	}
	_, err = h.sdk.Products.New(&stripe.ProductParams{ID: stripe.String("prod_pack"), Name: stripe.String("Again")})
	stripeError(t, err, 400, "resource_already_exists", "id")
	_, err = h.sdk.Products.Get("prod_none", nil)
	stripeError(t, err, 404, "resource_missing", "id")

	price, err := h.sdk.Prices.New(&stripe.PriceParams{
		Product: &product.ID, Currency: stripe.String("USD"), UnitAmount: stripe.Int64(25000), LookupKey: stripe.String("credit-pack-5m.v1"),
	})
	h.must(err)
	if price.UnitAmount != 25000 || price.UnitAmountDecimal != 25000 || price.Currency != "usd" || price.Type != "one_time" || price.Product.ID != product.ID {
		t.Errorf("price: %+v", price)
	}
	recurring, err := h.sdk.Prices.New(&stripe.PriceParams{
		Product: &product.ID, Currency: stripe.String("usd"), UnitAmount: stripe.Int64(49900),
		Recurring: &stripe.PriceRecurringParams{Interval: stripe.String("month")},
	})
	h.must(err)
	if recurring.Type != "recurring" || recurring.Recurring.Interval != "month" || recurring.Recurring.IntervalCount != 1 {
		t.Errorf("recurring price: %+v", recurring.Recurring)
	}

	archived, err := h.sdk.Prices.Update(recurring.ID, &stripe.PriceParams{Active: stripe.Bool(false)})
	h.must(err)
	if archived.Active {
		t.Error("the price is still active")
	}
	var found []string
	list := &stripe.PriceListParams{LookupKeys: stripe.StringSlice([]string{"credit-pack-5m.v1", "other.v1"}), Active: stripe.Bool(true)}
	list.AddExpand("data.product")
	for it := h.sdk.Prices.List(list); it.Next(); {
		found = append(found, it.Price().ID)
		if it.Price().Product.Name != "Pack" {
			t.Error("the product is not expanded")
		}
	}
	if len(found) != 1 || found[0] != price.ID {
		t.Errorf("found %v, want %s", found, price.ID)
	}
}

func TestLookupKeyBelongsToOnePriceUnlessTransferred(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	first := h.price(100, "pack.v1")
	params := &stripe.PriceParams{Product: stripe.String(first.Product.ID), Currency: stripe.String("usd"), UnitAmount: stripe.Int64(200), LookupKey: stripe.String("pack.v1")}
	_, err := h.sdk.Prices.New(params)
	stripeError(t, err, 400, "", "lookup_key")

	params.TransferLookupKey = stripe.Bool(true)
	params.IdempotencyKey = nil
	second, err := h.sdk.Prices.New(params)
	h.must(err)
	old, err := h.sdk.Prices.Get(first.ID, nil)
	h.must(err)
	if old.LookupKey != "" || second.LookupKey != "pack.v1" {
		t.Errorf("keys: old %q, new %q", old.LookupKey, second.LookupKey)
	}
}

func TestCustomerUpdateMergesMetadata(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	p := &stripe.CustomerParams{Email: stripe.String("a@shop.test"), Name: stripe.String("Halden Robotics")}
	p.AddMetadata("keep", "1")
	p.AddMetadata("drop", "2")
	c, err := h.sdk.Customers.New(p)
	h.must(err)
	up := &stripe.CustomerParams{Name: stripe.String("Halden AG")}
	up.AddMetadata("drop", "")
	up.AddMetadata("add", "3")
	_, err = h.sdk.Customers.Update(c.ID, up)
	h.must(err)
	c, err = h.sdk.Customers.Get(c.ID, nil)
	h.must(err)
	if got := fmt.Sprint(c.Metadata); got != "map[add:3 keep:1]" || c.Name != "Halden AG" || c.Email != "a@shop.test" {
		t.Errorf("got %s %q %q", got, c.Name, c.Email)
	}
	update := h.sink.wait(1, "customer.updated")[0].event
	if update.Data.PreviousAttributes["name"] != "Halden Robotics" {
		t.Errorf("previous attributes: %v", update.Data.PreviousAttributes)
	}
	_, err = h.sdk.Customers.New(&stripe.CustomerParams{Email: stripe.String("nobody")})
	stripeError(t, err, 400, "email_invalid", "email")
}

func TestSessionIsRefused(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	price := h.price(25000, "").ID
	cheap := h.price(20, "").ID
	gone := h.price(900, "").ID
	_, err := h.sdk.Prices.Update(gone, &stripe.PriceParams{Active: stripe.Bool(false)})
	h.must(err)
	monthly := h.monthly(2500).ID
	nowhere := h.customer().ID
	long := strings.Repeat("x", 501)
	cases := []struct {
		name   string
		change func(*stripe.CheckoutSessionParams)
		code   stripe.ErrorCode
		param  string
	}{
		{"without mode", func(p *stripe.CheckoutSessionParams) { p.Mode = nil }, "parameter_missing", "mode"},
		{"unknown mode", func(p *stripe.CheckoutSessionParams) { p.Mode = stripe.String("gift") }, "", "mode"},
		{"payment intent in subscription mode", func(p *stripe.CheckoutSessionParams) { p.Mode = stripe.String("subscription") }, "", "payment_intent_data"},
		{"subscription mode without a recurring price", func(p *stripe.CheckoutSessionParams) {
			p.Mode, p.PaymentIntentData = stripe.String("subscription"), nil
		}, "", "line_items"},
		{"items in setup mode", func(p *stripe.CheckoutSessionParams) {
			p.Mode, p.PaymentIntentData = stripe.String("setup"), nil
		}, "", "line_items"},
		{"recurring price in payment mode", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].Price = &monthly }, "", "line_items[0][price]"},
		{"invoice creation in subscription mode", func(p *stripe.CheckoutSessionParams) {
			p.Mode, p.PaymentIntentData, p.LineItems[0].Price = stripe.String("subscription"), nil, &monthly
			p.InvoiceCreation = &stripe.CheckoutSessionInvoiceCreationParams{Enabled: stripe.Bool(true)}
		}, "", "invoice_creation"},
		{"without items", func(p *stripe.CheckoutSessionParams) { p.LineItems = nil }, "parameter_missing", "line_items"},
		{"unknown price", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].Price = stripe.String("price_x") }, "resource_missing", "line_items[0][price]"},
		{"inactive price", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].Price = &gone }, "", "line_items[0][price]"},
		{"quantity zero", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].Quantity = stripe.Int64(0) }, "parameter_invalid_integer", "line_items[0][quantity]"},
		{"under the minimum", func(p *stripe.CheckoutSessionParams) { p.LineItems[0].Price = &cheap }, "amount_too_small", ""},
		{"without success_url", func(p *stripe.CheckoutSessionParams) { p.SuccessURL = nil }, "parameter_missing", "success_url"},
		{"success_url is no address", func(p *stripe.CheckoutSessionParams) { p.SuccessURL = stripe.String("/orders") }, "url_invalid", "success_url"},
		{"customer and customer_email", func(p *stripe.CheckoutSessionParams) { p.Customer = stripe.String("cus_x") }, "", "customer_email"},
		{"expires too soon", func(p *stripe.CheckoutSessionParams) {
			p.ExpiresAt = stripe.Int64(time.Now().Add(29 * time.Minute).Unix())
		}, "", "expires_at"},
		{"expires too late", func(p *stripe.CheckoutSessionParams) {
			p.ExpiresAt = stripe.Int64(time.Now().Add(25 * time.Hour).Unix())
		}, "", "expires_at"},
		{"metadata value too long", func(p *stripe.CheckoutSessionParams) { p.AddMetadata("k", long) }, "", "metadata[k]"},
		{"metadata key too long", func(p *stripe.CheckoutSessionParams) { p.AddMetadata(long[:41], "v") }, "", "metadata[" + long[:41] + "]"},
		{"51 metadata keys", func(p *stripe.CheckoutSessionParams) {
			for i := range 51 {
				p.AddMetadata(fmt.Sprint("k", i), "v")
			}
		}, "", "metadata"},
		{"payment intent metadata too long", func(p *stripe.CheckoutSessionParams) { p.PaymentIntentData.Metadata["k"] = long }, "", "payment_intent_data[metadata][k]"},
		{"unknown parameter", func(p *stripe.CheckoutSessionParams) { p.AddExtra("line_itmes", "1") }, "parameter_unknown", "line_itmes"},
		{"unknown nested parameter", func(p *stripe.CheckoutSessionParams) { p.AddExtra("payment_intent_data[colour]", "1") }, "parameter_unknown", "payment_intent_data[colour]"},
		{"automatic tax without a place", func(p *stripe.CheckoutSessionParams) {
			p.Customer, p.CustomerEmail = &nowhere, nil
			p.AutomaticTax = &stripe.CheckoutSessionAutomaticTaxParams{Enabled: stripe.Bool(true)}
		}, "customer_tax_location_invalid", ""},
		{"phone numbers, which the stand-in does not ask for", func(p *stripe.CheckoutSessionParams) {
			p.PhoneNumberCollection = &stripe.CheckoutSessionPhoneNumberCollectionParams{Enabled: stripe.Bool(true)}
		}, "stripesim_unsupported", "phone_number_collection[enabled]"},
		{"expanding what cannot be", func(p *stripe.CheckoutSessionParams) { p.AddExpand("metadata") }, "", "expand"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := h.sessionParams(price)
			c.change(p)
			_, err := h.sdk.CheckoutSessions.New(p)
			stripeError(t, err, 400, c.code, c.param)
		})
	}
}

func TestKeyIsChecked(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	_, err := sdkFor(h.url, "sk_test_wrong").Products.Get("prod_x", nil)
	stripeError(t, err, 401, "", "")

	req, err := http.NewRequest("GET", h.url+"/v1/account", nil)
	h.must(err)
	for name, set := range map[string]func(){
		"bearer": func() { req.Header.Set("Authorization", "Bearer "+testKey) },
		"basic":  func() { req.SetBasicAuth(testKey, "") },
	} {
		set()
		resp, err := http.DefaultClient.Do(req)
		h.must(err)
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Header.Get("Request-Id") == "" || resp.Header.Get("Stripe-Version") != "2023-10-16" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
	}
	for header, value := range map[string]string{"Stripe-Account": "acct_other", "Stripe-Version": "2019-01-01"} {
		r := req.Clone(t.Context())
		r.Header.Set(header, value)
		resp, err := http.DefaultClient.Do(r)
		h.must(err)
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%s %s was accepted", header, value)
		}
	}
}

func TestIdempotencyKeyReplaysTheFirstAnswer(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	price := h.price(25000, "").ID
	make1 := func() (*stripe.CheckoutSession, error) {
		p := h.sessionParams(price)
		p.SetIdempotencyKey("order_1:checkout")
		return h.sdk.CheckoutSessions.New(p)
	}
	first, err := make1()
	h.must(err)
	h.pay(first.ID, "card_ok") // a replay answers as it was, not as it is
	again, err := make1()
	h.must(err)
	if again.ID != first.ID || again.Status != "open" {
		t.Errorf("got %s %s, want %s open", again.ID, again.Status, first.ID)
	}
	if got := again.LastResponse.Header; got.Get("Idempotent-Replayed") != "true" || got.Get("Original-Request") != first.LastResponse.RequestID {
		t.Errorf("headers of the replay: %v", got)
	}
	if first.LastResponse.Header.Get("Idempotent-Replayed") != "" {
		t.Error("the first answer says it is a replay")
	}

	p := h.sessionParams(price)
	p.ClientReferenceID = stripe.String("order_2")
	p.SetIdempotencyKey("order_1:checkout")
	_, err = h.sdk.CheckoutSessions.New(p)
	var e *stripe.Error
	if !errors.As(err, &e) || e.Type != stripe.ErrorTypeIdempotency || e.HTTPStatusCode != 400 {
		t.Fatalf("changed parameters: got %v, want an idempotency_error", err)
	}
	c := &stripe.CustomerParams{}
	c.SetIdempotencyKey("order_1:checkout")
	_, err = h.sdk.Customers.New(c)
	if !errors.As(err, &e) || e.Type != stripe.ErrorTypeIdempotency {
		t.Fatalf("another endpoint: got %v, want an idempotency_error", err)
	}

	h.control("POST", "/_sim/clock", map[string]any{"advance_seconds": 24 * 3600})
	later, err := make1()
	h.must(err)
	if later.ID == first.ID {
		t.Error("the key still counts after a day")
	}
}

func TestRefusalOfARunCallIsReplayedButABadParameterIsNot(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	expire := func(id string) error {
		p := &stripe.CheckoutSessionExpireParams{}
		p.SetIdempotencyKey("expire")
		_, err := h.sdk.CheckoutSessions.Expire(id, p)
		return err
	}
	s := h.session(900)
	h.pay(s.ID, "card_ok")
	stripeError(t, expire(s.ID), 400, "", "")
	var e *stripe.Error
	if err := expire(s.ID); !errors.As(err, &e) || e.LastResponse.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the refusal was not replayed: %v", err)
	}

	bad := &stripe.CustomerParams{}
	bad.SetIdempotencyKey("customer")
	bad.AddExtra("nick", "x")
	_, err := h.sdk.Customers.New(bad)
	stripeError(t, err, 400, "parameter_unknown", "nick")
	good := &stripe.CustomerParams{}
	good.SetIdempotencyKey("customer")
	_, err = h.sdk.Customers.New(good)
	h.must(err)
}

func TestReplayDoesNotMindTheOrderOfParameters(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for i, body := range []string{"name=Pack&metadata[a]=1&metadata[b]=2", "metadata[b]=2&name=Pack&metadata[a]=1", "name=Pack&metadata[a]=2&metadata[b]=1"} {
		req, err := http.NewRequest("POST", h.url+"/v1/products", strings.NewReader(body))
		h.must(err)
		req.SetBasicAuth(testKey, "")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Idempotency-Key", "k")
		resp, err := http.DefaultClient.Do(req)
		h.must(err)
		resp.Body.Close()
		if want := []int{200, 200, 400}[i]; resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", body, resp.StatusCode, want)
		}
		if got := resp.Header.Get("Idempotent-Replayed"); (got == "true") != (i == 1) {
			t.Errorf("%s: replayed %q", body, got)
		}
	}
}

func TestListsPageThroughEverythingOnce(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for i := range 23 {
		_, err := h.sdk.Customers.New(&stripe.CustomerParams{Name: stripe.String(fmt.Sprint("c", i))})
		h.must(err)
	}
	var got []string
	p := &stripe.CustomerListParams{}
	p.Limit = stripe.Int64(10)
	it := h.sdk.Customers.List(p)
	for it.Next() {
		got = append(got, it.Customer().Name)
	}
	h.must(it.Err())
	if len(got) != 23 || got[0] != "c22" || got[22] != "c0" {
		t.Errorf("got %v", got)
	}
	back := &stripe.CustomerListParams{}
	back.EndingBefore = stripe.String(it.Customer().ID)
	back.Limit = stripe.Int64(3)
	back.Single = true
	bit := h.sdk.Customers.List(back)
	got = nil
	for bit.Next() {
		got = append(got, bit.Customer().Name)
	}
	if fmt.Sprint(got) != "[c1 c2 c3]" || !bit.CustomerList().HasMore {
		t.Errorf("before the last: %v", got)
	}
	bad := &stripe.CustomerListParams{}
	bad.Limit = stripe.Int64(101)
	bit = h.sdk.Customers.List(bad)
	bit.Next()
	stripeError(t, bit.Err(), 400, "parameter_invalid_integer", "limit")
}

func TestFormsThatDoNotParseAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, body := range []string{"name=a&name=b", "name=a&name[x]=b", "metadata[a=b", "na%ZZme=a", "metadata[a][b]=c", "[x]=1", "images[a]=b"} {
		req, err := http.NewRequest("POST", h.url+"/v1/products", strings.NewReader(body))
		h.must(err)
		req.Header.Set("Authorization", "Bearer "+testKey)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		h.must(err)
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		h.must(err)
		if resp.StatusCode != 400 || !strings.Contains(string(data), "invalid_request_error") {
			t.Errorf("%s: %d %s", body, resp.StatusCode, data)
		}
	}
	// The bracket without an index, which stripe-go does not write, is read too.
	form := url.Values{"lookup_keys[]": {"a.v1", "b.v1"}}
	req, err := http.NewRequest("GET", h.url+"/v1/prices?"+form.Encode(), nil)
	h.must(err)
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	h.must(err)
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("lookup_keys[]: %d", resp.StatusCode)
	}
}

package enforce

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

func containsOnce(text, part string) bool { return strings.Count(text, part) == 1 }

func TestStatusShowsCounters(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withBundle(nil))
	r.install(r.metered("lic_1", 1_000, 10_000))
	r.revoke(9, entry("lic_1", license.StatusSuspended, start.Add(day)))
	ticket := r.begin(70)
	_, body := answer(t, r.Status())
	counters, _ := body["counters"].(map[string]any)
	wantMembers(t, counters, map[string]any{"requests_used": 1.0, "tokens_used": 70.0, "tokens_over": 0.0,
		"month_start": "2026-12-01T00:00:00Z", "month_requests_used": 1.0, "window_requests_used": 0.0, "in_flight": 1.0})
	revocation, _ := body["revocation"].(map[string]any)
	wantMembers(t, revocation, map[string]any{"mode": "file", "epoch": 9.0, "expires_at": "2027-01-05T00:00:00Z",
		"pending": "2026-12-02T00:00:00Z"})
	state, _ := body["state"].(map[string]any)
	wantMembers(t, state, map[string]any{"kept": true, "repairs": 0.0, "created_at": "2026-12-01T00:00:00Z"})
	wantMembers(t, body, map[string]any{"clock_floor": "2026-12-01T00:00:00Z", "license_id": "lic_1"})
	ticket.Settle(7)
	ticket.End()
	r.wantUsed(1, 7)
}

func TestReceiptHoldsSafeFieldsAndCounters(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(3)
	recorder := httptest.NewRecorder()
	r.Export().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	text := recorder.Body.String()
	for _, part := range []string{`"license_id":"lic_1"`, `"requests_used":3`, `"clock_floor":"2026-12-01T00:00:00Z"`,
		`"epoch":0`, `"made_at":"2026-12-01T00:00:00Z"`, `"status":"license-valid"`} {
		if !containsOnce(text, part) {
			t.Errorf("%s is not there once: %s", part, text)
		}
	}
	for _, secret := range []string{"cust_1", "Secret Name", "fp:a", "signature", r.path} {
		if strings.Contains(text, secret) {
			t.Errorf("the receipt shows %q: %s", secret, text)
		}
	}
	if got := recorder.Header().Get("Content-Disposition"); got != `attachment; filename="license-receipt.json"` {
		t.Errorf("content disposition %q", got)
	}
}

func TestMetricsAreInPrometheusTextFormat(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	scrape := func() string {
		recorder := httptest.NewRecorder()
		r.Metrics().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := recorder.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
			t.Errorf("content type %q", got)
		}
		return recorder.Body.String()
	}
	if text := scrape(); !containsOnce(text, "license_standing{code=\"license-missing\"} 1\n") || strings.Contains(text, "license_days_left") {
		t.Errorf("without a license:\n%s", text)
	}
	r.install(r.issue("lic_1", func(p *license.Payload) {
		p.Limits = license.Limits{MaxTotalRequests: 1 << 52, WindowTokens: 100, WindowDurationSeconds: 60}
	}))
	r.at(12 * time.Hour)
	r.use(3)
	r.wantRefused(98, license.CodeWindowExceeded)
	_ = r.Admit("pii_filtering")
	_ = r.Admit("pii_filtering")
	text := scrape()
	for _, line := range []string{
		`license_standing{code="license-valid"} 1`, `license_serving 1`, `license_grace_active 0`,
		`license_expiry_timestamp_seconds 1798675200`, `license_days_left 29.5`,
		`license_limit{limit="max_total_requests"} 4503599627370496`, `license_limit{limit="window_tokens"} 100`,
		`license_used{limit="max_total_requests"} 3`, `license_used{limit="window_tokens"} 3`, `license_used{limit="max_concurrent"} 0`,
		`license_refused_total{code="license-window-exceeded"} 1`, `license_refused_total{code="license-feature-forbidden"} 2`,
		`license_refused_total{code="license-expired"} 0`, `license_revocation_epoch 0`, `license_state_ok 1`,
		`license_state_created_timestamp_seconds 1796083200`,
	} {
		if !containsOnce(text, "\n"+line+"\n") {
			t.Errorf("%s is not there once:\n%s", line, text)
		}
	}
	families := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " ")
		if strings.HasPrefix(line, "# TYPE ") {
			if families[name] || rest != "gauge" && rest != "counter" {
				t.Errorf("bad family: %s", line)
			}
			families[name] = true
		} else if !strings.HasPrefix(line, "# HELP ") {
			family, _, _ := strings.Cut(name, "{")
			if !families[family] {
				t.Errorf("sample before its type: %s", line)
			}
		}
	}
	for _, secret := range []string{"lic_1", "cust_1", "fp:a"} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics show %q", secret)
		}
	}
}

func TestFactsTellWhatThereIsNot(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withBundle(nil))
	r.install(r.issue("lic_1", nil))
	r.revoke(1, entry("lic_1", license.StatusRevoked, start))
	if got := r.Receipt().Revocation; got.Pending != nil || got.Epoch != 1 { // it is in effect
		t.Errorf("%+v", got)
	}
	second := *r
	second.start()
	if got := second.Receipt().State; !got.Kept || !strings.Contains(got.Trouble, "another process") {
		t.Errorf("%+v", got)
	}
	memory := newRouter(t, nil)
	recorder := httptest.NewRecorder()
	memory.Metrics().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	if text := recorder.Body.String(); strings.Contains(text, "license_state_created") || !containsOnce(text, "\nlicense_state_ok 1\n") {
		t.Errorf("without a state:\n%s", text)
	}
}

func TestMeterReservesNothingAndNamesNoRequestWhereItIsNotTold(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	handler := r.Meter(Route{Feature: license.FeatureRouting}, nil, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		Settle(q.Context(), 30)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	_, body := answer(t, handler)
	failure, _ := body["error"].(map[string]any)
	wantMembers(t, failure, map[string]any{"code": "license-missing", "request_id": ""})
	r.install(r.metered("lic_1", 10, 100))
	answer(t, handler)
	r.wantUsed(1, 30)
}

func TestMeterCountsAndSettlesRequests(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	route := Route{Feature: license.FeatureRouting, Skin: "openai-chat", Reserve: func(*http.Request) int64 { return 100 }}
	behave := func(*http.Request) {}
	handler := r.Meter(route, func(*http.Request) string { return "req_1" }, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		behave(q)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	status, body := answer(t, handler)
	failure, _ := body["error"].(map[string]any)
	if status != http.StatusServiceUnavailable || failure["code"] != "license-missing" || failure["request_id"] != "req_1" {
		t.Errorf("without a license: %d %v", status, body)
	}
	r.install(r.issue("lic_1", func(p *license.Payload) { p.Limits = license.Limits{MaxTotalTokens: 250, MaxConcurrent: 1} }))
	behave = func(q *http.Request) { Settle(q.Context(), 30) }
	if status, _ = answer(t, handler); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	r.wantUsed(1, 30)
	behave = func(*http.Request) {} // a handler that does not tell is charged what it reserved
	answer(t, handler)
	r.wantUsed(2, 130)
	behave = func(*http.Request) { panic(http.ErrAbortHandler) }
	func() {
		defer func() { _ = recover() }()
		answer(t, handler)
	}()
	r.wantUsed(3, 230)
	if status, _ = answer(t, handler); status != http.StatusTooManyRequests {
		t.Errorf("beyond the volume: %d", status)
	}
	Settle(t.Context(), 5) // outside of a metered request
	r.wantUsed(3, 230)
	if n := r.Counters().InFlight; n != 0 {
		t.Errorf("%d under way", n)
	}
}

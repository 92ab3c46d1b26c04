package enforce

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/metrum-ai/licensing-portal/license"
)

func answer(t *testing.T, handler http.Handler) (status int, body map[string]any) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := recorder.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v: %s", err, recorder.Body)
	}
	return recorder.Code, body
}

func wantMembers(t *testing.T, body map[string]any, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if body[name] != value {
			t.Errorf("%s is %v, want %v", name, body[name], value)
		}
	}
}

func TestReadyShowsTheSafeFieldsAlone(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	status, body := answer(t, r.Ready())
	if status != http.StatusServiceUnavailable {
		t.Errorf("without a license: %d", status)
	}
	wantMembers(t, body, map[string]any{"status": "license-missing", "license_id": "", "router_version": "1.15.0", "grace_active": false})

	r.install(r.issue("lic_1", nil))
	status, body = answer(t, r.Ready())
	if status != http.StatusOK {
		t.Errorf("with a license: %d", status)
	}
	wantMembers(t, body, map[string]any{"status": "license-valid", "reason": "", "license_id": "lic_1", "sku": "pilot-30d",
		"key_id": "k1", "expires_at": "2026-12-31T00:00:00Z", "grace_active": false, "router_version": "1.15.0"})
	if len(body) != 8 {
		t.Errorf("more than the safe fields: %v", body)
	}

	r.at(30 * day) // a caller gets 403 for it, a probe 503
	if status, _ = answer(t, r.Ready()); status != http.StatusServiceUnavailable {
		t.Errorf("expired: %d", status)
	}
}

func TestStatusAddsCustomerAndLimits(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	status, body := answer(t, r.Status())
	if status != http.StatusOK || body["limits"] != nil {
		t.Errorf("without a license: %d %v", status, body)
	}
	r.install(r.issue("lic_1", nil))
	_, body = answer(t, r.Status())
	wantMembers(t, body, map[string]any{"status": "license-valid", "license_id": "lic_1", "customer_id": "cust_1"})
	limits, _ := body["limits"].(map[string]any)
	if len(limits) != 1 || limits["max_callers"] != 10.0 {
		t.Errorf("limits are %v", body["limits"])
	}
	if len(body) != 14 { // and counters, revocation, clock_floor and state
		t.Errorf("more than was promised: %v", body)
	}
}

func TestRequireAnswersWithTheCode(t *testing.T) {
	t.Parallel()
	r := newRouter(t, nil)
	served := 0
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	})
	id := func(*http.Request) string { return "req_1" }
	status, body := answer(t, r.Require(license.FeatureRouting, id, next))
	failure, _ := body["error"].(map[string]any)
	if status != http.StatusServiceUnavailable || served != 0 {
		t.Errorf("%d, served %d", status, served)
	}
	wantMembers(t, failure, map[string]any{"code": "license-missing", "request_id": "req_1",
		"message": "there is no license file at the configured path"})

	r.install(r.issue("lic_1", nil))
	if status, _ = answer(t, r.Require(license.FeatureRouting, nil, next)); status != http.StatusOK || served != 1 {
		t.Errorf("%d, served %d", status, served)
	}
	if status, _ = answer(t, r.Require("pii_filtering", nil, next)); status != http.StatusForbidden || served != 1 {
		t.Errorf("%d, served %d", status, served)
	}
}

func TestUnknownErrorsAreNotEchoed(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	WriteError(recorder, "req_1", errors.New("secret"))
	if want := `{"error":{"code":"license-state-error","message":"the license cannot be checked","request_id":"req_1"}}` + "\n"; recorder.Body.String() != want || recorder.Code != 503 {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
}

package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

func (r *startedRouter) text(path string) (status int, text string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.SetBasicAuth("operator", testPassword)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (r *startedRouter) counter(name string) float64 {
	r.t.Helper()
	a := r.ask(http.MethodGet, "/admin/license/status", "", basic("operator", testPassword))
	counters, _ := a.body["counters"].(map[string]any)
	value, _ := counters[name].(float64)
	return value
}

func TestVolumeIsCountedAndBounded(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.write("license.json", r.issue(func(p *license.Payload) {
		p.Limits = license.Limits{MaxTotalRequests: 5, MaxTotalTokens: 1_000, AllowedSkins: []string{"openai-chat"}}
	}))
	r.waitForStatus("license-valid")
	echo := func(body string) answer { return r.ask(http.MethodPost, "/v1/echo", body, bearer(testToken)) }
	if a := echo(`"12345678"`); a.status != 200 || a.body["usage"].(map[string]any)["total_tokens"] != 6.0 {
		t.Fatalf("%d %v", a.status, a.body)
	}
	if a := echo(`{`); a.status != 400 {
		t.Errorf("%d %v", a.status, a.body)
	}
	if requests, tokens := r.counter("requests_used"), r.counter("tokens_used"); requests != 2 || tokens != 6 {
		t.Errorf("%v requests and %v tokens, want 2 and 6", requests, tokens)
	}
	if a := echo(`"` + strings.Repeat("x", 2_000) + `"`); a.status != 429 || a.errorCode() != "license-volume-exceeded" {
		t.Errorf("more tokens than there are: %d %v", a.status, a.body)
	}
	for range 3 {
		if a := r.ask(http.MethodPost, "/v1/chat/completions", `{"messages":[{"role":"user","content":"hello"}]}`, bearer(testToken)); a.status != 200 || a.body["object"] != "chat.completion" {
			t.Errorf("chat: %d %v", a.status, a.body)
		}
	}
	if a := echo(`{}`); a.status != 429 || a.errorCode() != "license-volume-exceeded" {
		t.Errorf("beyond the last request: %d %v", a.status, a.body)
	}
	if a := r.ask(http.MethodGet, "/v1/models", "", bearer(testToken)); a.status != 200 {
		t.Errorf("looking costs nothing: %d %v", a.status, a.body)
	}
	if _, text := r.text("/metrics"); !strings.Contains(text, `license_used{limit="max_total_requests"} 5`) ||
		!strings.Contains(text, `license_refused_total{code="license-volume-exceeded"} 2`) {
		t.Errorf("metrics:\n%s", text)
	}
	if _, text := r.text("/admin/license/receipt"); !strings.Contains(text, `"requests_used":5`) || strings.Contains(text, "cust_1") {
		t.Errorf("receipt: %s", text)
	}
}

func TestFeaturesAndSkinsOpenRoutes(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.write("license.json", r.issue(func(p *license.Payload) { p.Limits.AllowedSkins = []string{"anthropic-messages"} }))
	r.waitForStatus("license-valid")
	if status, text := r.text("/admin/usage.csv"); status != 403 || !strings.Contains(text, "license-feature-forbidden") {
		t.Errorf("without the feature: %d %s", status, text)
	}
	if a := r.ask(http.MethodPost, "/v1/chat/completions", `{}`, bearer(testToken)); a.status != 403 || a.errorCode() != "license-skin-forbidden" {
		t.Errorf("without the skin: %d %v", a.status, a.body)
	}
	r.write("license.json", r.issue(func(p *license.Payload) {
		p.LicenseID, p.Features = "lic_2", []string{"routing", "usage_csv_export"}
	}))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		status, text := r.text("/admin/usage.csv")
		if status == 200 && strings.HasPrefix(text, "counter,used\nrequests,0\n") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with the feature: %d %s", status, text)
		}
	}
	if a := r.ask(http.MethodPost, "/v1/chat/completions", `{"messages":[]}`, bearer(testToken)); a.status != 400 || a.errorCode() != "messages-missing" {
		t.Errorf("without messages: %d %v", a.status, a.body)
	}
}

func TestCountersOutliveACleanStop(t *testing.T) {
	t.Parallel()
	r := start(t)
	file := r.issue(func(p *license.Payload) { p.Limits = license.Limits{MaxTotalRequests: 1_000} })
	r.write("license.json", file)
	r.waitForStatus("license-valid")
	for range 7 {
		r.ask(http.MethodPost, "/v1/echo", `{}`, bearer(testToken))
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Fatal(err)
	}
	second := start(t, "-state", r.path("license.json.state"), "-license", r.path("license.json"), "-keys", r.path("keys.json"))
	second.waitForStatus("license-valid")
	if got := second.counter("requests_used"); got != 7 {
		t.Errorf("%v requests counted, want 7: a clean stop gives back what is on hand", got)
	}
}

func TestRevocationBundleIsRequiredWhenAskedFor(t *testing.T) {
	t.Parallel()
	r := start(t, "-revocations", os.DevNull, "-require-current-revocations")
	r.write("license.json", r.issue(nil))
	if a := r.waitForStatus("license-revocation-required"); a.status != 503 {
		t.Errorf("%d %v", a.status, a.body)
	}
}

package billing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

const canary = "canary4f1c9d"

func TestFailuresSayWhetherToTryAgainAndQuoteNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status    int
		body      string
		retryable bool
		requests  int32 // with the SDK's own retries
	}{
		"server trouble":   {500, `{"error":{"type":"api_error","message":"` + canary + `"}}`, true, 3},
		"gateway page":     {502, `<html>` + canary + `</html>`, true, 3},
		"too many":         {429, `{"error":{"type":"invalid_request_error","code":"rate_limit","message":"` + canary + `"}}`, true, 1},
		"lock timeout":     {429, `{"error":{"type":"invalid_request_error","code":"lock_timeout","message":"` + canary + `"}}`, true, 3},
		"key in use":       {409, `{"error":{"type":"idempotency_error","code":"idempotency_key_in_use","message":"` + canary + `"}}`, true, 3},
		"key refused":      {401, `{"error":{"type":"invalid_request_error","message":"` + canary + `"}}`, true, 1},
		"bad parameter":    {400, `{"error":{"type":"invalid_request_error","code":"email_invalid","param":"customer_email","message":"` + canary + `"}}`, false, 1},
		"card":             {402, `{"error":{"type":"card_error","code":"card_declined","message":"` + canary + `"}}`, false, 1},
		"not JSON":         {200, `<html>` + canary + `</html>`, true, 0},
		"error without it": {400, `{"oops":"` + canary + `"}`, true, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.Header().Set("Request-Id", "req_1")
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			defer server.Close()
			var log bytes.Buffer
			c, err := billing.New(billing.Config{Key: "sk_test_" + canary, URL: server.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.FetchSession(t.Context(), "cs_test_1")
			failure, ok := errors.AsType[*billing.Error](err)
			if !ok || failure.Retryable != tt.retryable || errors.Is(err, fulfillment.ErrUnavailable) != tt.retryable {
				t.Fatalf("error %#v, want retryable %v", err, tt.retryable)
			}
			if got := requests.Load(); tt.requests > 0 && got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
			if shown := err.Error() + log.String(); strings.Contains(shown, canary) || !strings.Contains(shown, "fetch checkout session") {
				t.Errorf("error and log: %s", shown)
			}
		})
	}
}

func TestNoAnswerIsWorthAnotherTry(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	server.Close()
	if _, err := newClient(t, server.URL).FetchSession(t.Context(), "cs_test_1"); !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("connection refused: %v", err)
	}
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer slow.Close()
	defer close(hang)
	c, err := billing.New(billing.Config{Key: testKey, URL: slow.URL, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.FetchSession(t.Context(), "cs_test_1"); !errors.Is(err, fulfillment.ErrUnavailable) {
		t.Errorf("timeout: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.PaidEventIDs(ctx, "cs_test_1", time.Now()); !errors.Is(err, fulfillment.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestEveryRequestIsOfThePinnedVersionAndWithoutTelemetry(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		if got := r.Header.Get("Stripe-Version"); got != "2023-10-16" {
			t.Errorf("version %q", got)
		}
		if r.Header.Get("X-Stripe-Client-Telemetry") != "" {
			t.Error("telemetry is on")
		}
		if r.Method == http.MethodPost && r.Header.Get("Idempotency-Key") == "" {
			t.Errorf("%s without an idempotency key", r.URL.Path)
		}
		_, _ = w.Write([]byte(`{"id":"x","status":"expired"}`))
	}))
	defer server.Close()
	c := newClient(t, server.URL)
	for range 2 { // telemetry would come with the second
		_ = c.ExpireSession(t.Context(), "cs_test_1")
		_ = c.RetryEvent(t.Context(), "evt_1")
		_, _ = c.FetchSession(t.Context(), "cs_test_1")
	}
	if seen.Load() != 6 {
		t.Errorf("%d requests, want 6", seen.Load())
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var stolen atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Store(true) }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	if _, err := newClient(t, server.URL).FetchSession(t.Context(), "cs_test_1"); err == nil || stolen.Load() {
		t.Errorf("error %v, followed %v", err, stolen.Load())
	}
}

func TestNewTellsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := billing.New(billing.Config{Key: "pk_test_" + canary, URL: "stripe", Timeout: -1})
	for _, want := range []string{"Key", "URL", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("error %v, want %q and no key", err, want)
		}
	}
}

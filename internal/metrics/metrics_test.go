package metrics_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/metrics"
)

type source struct {
	gauges fulfillment.Gauges
	err    error
}

func (s source) Gauges(context.Context, time.Time) (fulfillment.Gauges, error) {
	return s.gauges, s.err
}

func scrape(s source, now time.Time) (int, string) {
	rec := httptest.NewRecorder()
	metrics.Handler(s, func() time.Time { return now }, slog.New(slog.DiscardHandler)).
		ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return rec.Code, rec.Body.String()
}

func TestTheGaugesSayWhatTheDatabaseCounts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	code, body := scrape(source{gauges: fulfillment.Gauges{
		PaidWithoutLicense: 2, LicenseWithoutPayment: 1, OrdersInReview: 3, LastEventAt: now.Add(-90 * time.Second),
		Passes: map[string]fulfillment.PassState{
			fulfillment.PassEndpoint: {SucceededAt: now.Add(-time.Hour), Endpoint: fulfillment.EndpointDisabled, Open: 1},
			fulfillment.PassEvents:   {SucceededAt: now, Open: 4},
		},
	}}, now)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	for _, line := range []string{
		"portal_paid_without_license 2", "portal_license_without_payment 1", "portal_orders_in_review 3", "portal_last_event_age_seconds 90",
		`portal_webhook_endpoint{state="disabled"} 1`, `portal_webhook_endpoint{state="enabled"} 0`,
		`portal_reconcile_last_success_timestamp_seconds{pass="events"} 1.8e+09`, `portal_reconcile_open{pass="events"} 4`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("%q is missing of:\n%s", line, body)
		}
	}
}

func TestBeforeTheFirstEventThereIsNoAge(t *testing.T) {
	t.Parallel()
	_, body := scrape(source{}, time.Now())
	if strings.Contains(body, "last_event_age") || !strings.Contains(body, `portal_webhook_endpoint{state="unknown"} 1`) {
		t.Error(body)
	}
}

func TestADatabaseThatIsDownIsNotZero(t *testing.T) {
	t.Parallel()
	if code, body := scrape(source{err: errors.New("down")}, time.Now()); code != http.StatusInternalServerError || strings.Contains(body, "paid_without_license 0") {
		t.Errorf("%d %s", code, body)
	}
}

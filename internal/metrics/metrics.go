// Package metrics tells Prometheus what the portal's database knows about itself. The figures are read when they are asked
// for, so that any process may be asked and all say the same. What it serves names no customer.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// scrapeWait is how long a scrape waits for the database.
const scrapeWait = 5 * time.Second

// Source counts the gauges.
type Source interface {
	Gauges(ctx context.Context, now time.Time) (fulfillment.Gauges, error)
}

// Handler answers GET /metrics in Prometheus's text format, and 500 while the database does not answer: an absent gauge must
// not read as zero.
func Handler(source Source, now func() time.Time, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{source, now, log})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	return mux
}

type collector struct {
	source Source
	now    func() time.Time
	log    *slog.Logger
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("portal_"+name, help, labels, nil)
}

var (
	paidWithoutLicense    = desc("paid_without_license", "Orders paid for more than two minutes without a license. Must be 0.")
	licenseWithoutPayment = desc("license_without_payment", "Licenses of orders that nobody paid for or approved. Must be 0.")
	inReview              = desc("orders_in_review", "Orders that wait for staff.")
	eventAge              = desc("last_event_age_seconds", "Time since the newest event of Stripe's was stored. Absent before the first.")
	endpoint              = desc("webhook_endpoint", "1 for the state that the webhook endpoint was in when it was last looked at.", "state")
	succeeded             = desc("reconcile_last_success_timestamp_seconds", "When a pass of reconciliation last went through.", "pass")
	open                  = desc("reconcile_open", "What that pass found and could not close by itself: must come back to 0.", "pass")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{paidWithoutLicense, licenseWithoutPayment, inReview, eventAge, endpoint, succeeded, open} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	now := c.now()
	g, err := c.source.Gauges(ctx, now)
	if err != nil {
		c.log.WarnContext(ctx, "gauges not read", "error", err)
		ch <- prometheus.NewInvalidMetric(paidWithoutLicense, err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(paidWithoutLicense, float64(g.PaidWithoutLicense))
	gauge(licenseWithoutPayment, float64(g.LicenseWithoutPayment))
	gauge(inReview, float64(g.OrdersInReview))
	if !g.LastEventAt.IsZero() {
		gauge(eventAge, now.Sub(g.LastEventAt).Seconds())
	}
	for _, state := range fulfillment.EndpointStates() {
		v := 0.0
		if state == g.Endpoint() {
			v = 1
		}
		gauge(endpoint, v, string(state))
	}
	for name, p := range g.Passes {
		gauge(succeeded, float64(p.SucceededAt.Unix()), name)
		gauge(open, float64(p.Open), name)
	}
}

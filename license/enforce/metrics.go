package enforce

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/metrum-ai/licensing-portal/license"
)

// Metrics answers in Prometheus's text format, version 0.0.4: standing, expiry, days left, grace, limits, used,
// refused by code, and the state's health. Labels are codes and names of limits, never anything of a customer.
func (m *Manager) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := m.current.Load()
		p := page{}
		p.standing(m, s)
		p.volume(m.facts(s), s)
		p.head("license_refused_total", "counter", "Requests refused since the start, by code.")
		for i, code := range refusalCodes {
			p.line("license_refused_total", `code="`+string(code)+`"`, float64(m.refused[i].Load()))
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(p.text.String())) // a caller that went away is no error of ours
	})
}

// page is an answer in Prometheus's text format.
type page struct{ text strings.Builder }

func (p *page) head(name, kind, help string) {
	fmt.Fprintf(&p.text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *page) line(name, labels string, value float64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	p.text.WriteString(name + labels + " " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

func (p *page) gauge(name, help string, value float64) {
	p.head(name, "gauge", help)
	p.line(name, "", value)
}

func (p *page) standing(m *Manager, s *state) {
	now, standing := m.clock.now(), m.standing(s)
	p.head("license_standing", "gauge", "1 for the code that the router reports.")
	p.line("license_standing", `code="`+string(standing.Code)+`"`, 1)
	p.gauge("license_serving", "1 while requests are admitted.", bit(standing.Serving()))
	p.gauge("license_grace_active", "1 while grace covers a validation error.", bit(standing.Code == license.CodeGrace))
	if s.license != nil {
		p.gauge("license_expiry_timestamp_seconds", "When the license expires.", float64(s.expiresAt.Unix()))
		p.gauge("license_days_left", "Days until the license expires, 0 once it has.",
			float64(max(s.expiresAt.Unix()-now, 0))/(24*60*60))
	}
}

func (p *page) volume(f Facts, s *state) {
	if s.license != nil {
		limits := s.license.Payload().Limits
		p.head("license_limit", "gauge", "The license's limits; a limit that is not there is none.")
		for _, l := range []struct {
			name  string
			value int64
		}{
			{"max_admins", limits.MaxAdmins}, {"max_callers", limits.MaxCallers},
			{"max_concurrent", limits.MaxConcurrent}, {"max_instances", limits.MaxInstances},
			{"max_model_groups", limits.MaxModelGroups}, {"max_monthly_requests", limits.MaxMonthlyRequests},
			{"max_retention_days", limits.MaxRetentionDays}, {"max_total_requests", limits.MaxTotalRequests},
			{"max_total_tokens", limits.MaxTotalTokens}, {"window_duration_seconds", limits.WindowDurationSeconds},
			{"window_requests", limits.WindowRequests}, {"window_tokens", limits.WindowTokens},
		} {
			if l.value > 0 {
				p.line("license_limit", `limit="`+l.name+`"`, float64(l.value))
			}
		}
	}
	c := f.Counters
	p.head("license_used", "gauge", "What was used of each budget, also by earlier processes.")
	p.line("license_used", `limit="max_concurrent"`, float64(c.InFlight))
	p.line("license_used", `limit="max_monthly_requests"`, float64(c.MonthRequestsUsed))
	p.line("license_used", `limit="max_total_requests"`, float64(c.RequestsUsed))
	p.line("license_used", `limit="max_total_tokens"`, float64(c.TokensUsed))
	p.line("license_used", `limit="window_requests"`, float64(c.WindowRequestsUsed))
	p.line("license_used", `limit="window_tokens"`, float64(c.WindowTokensUsed))
	p.gauge("license_tokens_over", "Tokens used past a limit by requests that reserved too little.", float64(c.TokensOver))
	p.gauge("license_revocation_epoch", "The highest revocation epoch seen, 0 for none.", float64(f.Revocation.Epoch))
	p.gauge("license_clock_floor_timestamp_seconds", "The latest second seen.", float64(f.ClockFloor.Unix()))
	p.gauge("license_state_ok", "1 while the state can be read and written, or none is configured.", bit(f.State.Trouble == ""))
	p.gauge("license_state_repairs", "Copies of the state that were lost, changed or rolled back.", float64(f.State.Repairs))
	if !f.State.CreatedAt.IsZero() {
		p.gauge("license_state_created_timestamp_seconds", "Counters start here.", float64(f.State.CreatedAt.Unix()))
	}
}

func bit(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

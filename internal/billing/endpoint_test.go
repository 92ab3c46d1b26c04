package billing_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/billing"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

const webhook = "https://portal.example/webhooks/stripe"

func TestTheEndpointIsMadeOncePinnedToItsVersionAndItsSecretKept(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if c, err := h.client.PlanEndpoint(t.Context(), webhook, false); err != nil || c.Action != billing.Created || len(h.posts("/v1/webhook_endpoints")) != 0 {
		t.Errorf("plan: %v, %v", c, err)
	}
	var kept []string
	keep := func(secret string) error { kept = append(kept, secret); return nil }
	for n, want := range []billing.Action{billing.Created, billing.Unchanged} {
		if c, err := h.client.PushEndpoint(t.Context(), webhook, false, keep); err != nil || c.Action != want {
			t.Errorf("push %d: %v, %v", n, c, err)
		}
	}
	posts := h.posts("/v1/webhook_endpoints")
	if len(posts) != 1 || len(kept) != 1 || !strings.HasPrefix(kept[0], "whsec_") {
		t.Fatalf("%d made, %d secrets", len(posts), len(kept))
	}
	form, err := url.ParseQuery(posts[0].body)
	if err != nil || form.Get("api_version") != "2023-10-16" {
		t.Errorf("%v, %v", form, err)
	}
	if !slices.IsSorted(billing.Events) || len(slices.Compact(slices.Clone(billing.Events))) != len(billing.Events) {
		t.Error("the events are not sorted, each once")
	}
}

func TestAnEndpointWhoseSecretCannotBeKeptIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	full := errors.New("disk full")
	if _, err := h.client.PushEndpoint(t.Context(), webhook, false, func(string) error { return full }); !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	if c, err := h.client.PlanEndpoint(t.Context(), webhook, false); err != nil || c.Action != billing.Created {
		t.Errorf("afterwards: %v, %v", c, err)
	}
}

func TestAnEndpointsEventsAreMendedAndItsVersionIsNot(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	make := func(at, version string, events ...string) {
		h.api("/v1/webhook_endpoints", url.Values{"url": {at}, "api_version": {version}, "enabled_events[]": events})
	}
	make(webhook, "2023-10-16", "invoice.paid")
	if c, err := h.client.PlanEndpoint(t.Context(), webhook, false); err != nil || c.Action != billing.Updated {
		t.Errorf("plan: %v, %v", c, err)
	}
	never := func(string) error { t.Error("an old secret was told"); return nil }
	for n, want := range []billing.Action{billing.Updated, billing.Unchanged} {
		if c, err := h.client.PushEndpoint(t.Context(), webhook, false, never); err != nil || c.Action != want {
			t.Errorf("push %d: %v, %v", n, c, err)
		}
	}
	var drift *billing.DriftError
	if _, err := h.client.PlanEndpoint(t.Context(), webhook, true); !errors.As(err, &drift) || !strings.Contains(drift.Difference, "other mode") {
		t.Errorf("of the other mode: %v", err)
	}
	old := "https://old.example/webhooks/stripe"
	make(old, "2020-08-27", "invoice.paid")
	if _, err := h.client.PushEndpoint(t.Context(), old, false, never); !errors.As(err, &drift) || !strings.Contains(drift.Difference, "2020-08-27") {
		t.Errorf("of another version: %v", err)
	}
}

func TestThePriceOfAVersionThatIsOverIsArchived(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.push()
	now := time.Now()
	closed, renews := now.Add(-25*time.Hour), now.Add(time.Hour)
	pack, hosted := template(t, "credit-pack-5m"), template(t, "hosted-instance-monthly")
	pack.ClosedAt, hosted.ClosedAt, hosted.RenewalsUntil = &closed, &closed, &renews
	templates := []catalog.Template{pack, hosted}
	for _, step := range []struct {
		name string
		push bool
		now  time.Time
		want map[string]billing.Action
	}{
		{"sessions of its last day", true, closed.Add(23 * time.Hour), map[string]billing.Action{"credit-pack-5m.v1": billing.Unchanged}},
		{"the plan", false, now, map[string]billing.Action{"credit-pack-5m.v1": billing.Archived, "hosted-instance-monthly.v1": billing.Unchanged}},
		{"the push", true, now, map[string]billing.Action{"credit-pack-5m.v1": billing.Archived, "hosted-instance-monthly.v1": billing.Unchanged}},
		{"again, after the renewals", true, renews, map[string]billing.Action{"credit-pack-5m.v1": billing.Unchanged, "hosted-instance-monthly.v1": billing.Archived}},
	} {
		do := h.client.PlanCatalog
		if step.push {
			do = h.client.PushCatalog
		}
		changes, err := do(t.Context(), templates, step.now)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for _, c := range changes {
			if want, ok := step.want[c.Name]; ok && c.Action != want {
				t.Errorf("%s: %v, want %s", step.name, c, want)
			}
		}
	}
}

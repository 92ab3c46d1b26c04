package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

const (
	stripeAccount = "acct_demo"
	webhookPath   = "/webhooks/stripe"
)

// stripeStandIn serves the stand-in and delivers its webhooks, in the demo's
// own process.
type stripeStandIn struct {
	sim    *stripesim.Server
	web    *webServer
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

func startStripe(listeners []net.Listener, o options, s secrets, log *slog.Logger) (*stripeStandIn, error) {
	cfg := stripesim.Config{
		PublicURL: o.stripeURL(), APIKey: s.StripeAPIKey, AccountID: stripeAccount,
		Dir: filepath.Join(o.dir, stripeDir), Logger: log,
	}
	webhook := o.portalURL() + webhookPath
	if err := moveEndpoint(cfg, webhook); err != nil {
		return nil, err
	}
	cfg.Endpoints = []stripesim.EndpointConfig{{URL: webhook, Secret: s.WebhookSecret, EnabledEvents: []string{"*"}}}
	sim, err := stripesim.New(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &stripeStandIn{sim: sim, web: serveWeb(listeners, sim.Handler(), log), cancel: cancel}
	r.wait.Go(func() {
		if err := sim.Run(ctx); err != nil {
			log.Error("webhooks are not delivered any more", "error", err)
		}
	})
	return r, nil
}

func (r *stripeStandIn) close(ctx context.Context) error {
	r.cancel()
	r.web.close(ctx)
	r.wait.Wait()
	if err := r.sim.Close(); err != nil {
		return fmt.Errorf("close the Stripe stand-in: %w", err)
	}
	return nil
}

// moveEndpoint gives the endpoint of an earlier start the portal's present
// address, so that what waits for delivery arrives although DEMO_PORT changed.
func moveEndpoint(cfg stripesim.Config, webhook string) error {
	sim, err := stripesim.New(cfg)
	if err != nil {
		return err
	}
	defer sim.Close()
	var list struct {
		Data []struct{ ID, URL string }
	}
	if err := call(sim, cfg.APIKey, http.MethodGet, "/v1/webhook_endpoints?limit=100", nil, &list); err != nil {
		return err
	}
	for _, e := range list.Data {
		if e.URL == webhook || !strings.HasPrefix(e.URL, "http://localhost:") || !strings.HasSuffix(e.URL, webhookPath) {
			continue
		}
		return call(sim, cfg.APIKey, http.MethodPost, "/v1/webhook_endpoints/"+e.ID, url.Values{"url": {webhook}}, nil)
	}
	return nil
}

// call makes one request to a stand-in that is not served yet.
func call(sim *stripesim.Server, key, method, path string, form url.Values, answer any) error {
	req := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	req.Header.Set("Authorization", "Bearer "+key)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	sim.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		return fmt.Errorf("the Stripe stand-in answers %d to %s %s: %s", w.Code, method, path, bytes.TrimSpace(w.Body.Bytes()))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
		return fmt.Errorf("the Stripe stand-in's answer to %s %s: %w", method, path, err)
	}
	return nil
}

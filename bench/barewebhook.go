package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// openBareWebhook serves the least that could take a webhook: it checks the signature by itself, and stores event and job
// in one statement. It uses the portal's connections, since the two never run at once.
func openBareWebhook(ctx context.Context, l *lab, pool *pgxpool.Pool) (url string, err error) {
	_, err = pool.Exec(ctx, `CREATE TABLE bare_events (id text PRIMARY KEY, body bytea NOT NULL, header text NOT NULL);
		CREATE TABLE bare_jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL)`)
	if err != nil {
		return "", err
	}
	return l.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		header := r.Header.Get("Stripe-Signature")
		var event struct {
			ID string `json:"id"`
		}
		if err != nil || !signedByStripe(signer.Event{Body: body, SignatureHeader: header}) || json.Unmarshal(body, &event) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, err = pool.Exec(r.Context(), `WITH e AS (INSERT INTO bare_events (id, body, header) VALUES ($1, $2, $3) RETURNING id)
			INSERT INTO bare_jobs (event_id) SELECT id FROM e`, event.ID, body, header)
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/postgres"
)

// bare answers from the portal's own rows with nothing around: no router, middleware, layout or rights.
type bare struct {
	pool         *pgxpool.Pool
	store        *postgres.Fulfillment
	sessions     *postgres.Sessions
	organization string
}

const bareToken = "bare-session"

// openBare serves the bare handlers on connections of their own, as many as the portal has.
func openBare(ctx context.Context, l *lab, s *shop, organization string) (url string, err error) {
	pool, err := postgres.Open(ctx, s.databaseURL, postgres.PagePatience)
	if err != nil {
		return "", err
	}
	l.atEnd(func() error { pool.Close(); return nil })
	b := &bare{pool, postgres.NewFulfillment(pool, s.queue), postgres.NewSessions(pool, time.Now), organization}
	if err := b.sessions.CommitCtx(ctx, bareToken, make([]byte, 100), time.Now().Add(time.Hour)); err != nil {
		return "", err
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE noted (license_id text NOT NULL, at timestamptz NOT NULL)"); err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /same-queries": b.sameQueries, "GET /table": b.table, "GET /file/{license}": b.file, "GET /noted/{license}": b.noted,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	return l.serve(mux)
}

// shown is a row of the plain table.
type shown struct {
	id, deployment, sku string
	expiresAt           time.Time
}

func writeTable(w http.ResponseWriter, rows []shown) error {
	page := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(page)
	page.Reset()
	page.WriteString("<!doctype html><title>Licenses</title><table>")
	for _, r := range rows {
		fmt.Fprintf(page, "<tr><td>%s<td>%s<td>%s<td>%s", html.EscapeString(r.id), html.EscapeString(r.deployment),
			html.EscapeString(r.sku), r.expiresAt.Format(time.DateOnly))
	}
	page.WriteString("</table>")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes()) // the client went away
	return nil
}

func (b *bare) session(ctx context.Context) error {
	_, found, err := b.sessions.FindCtx(ctx, bareToken)
	if err == nil && !found {
		err = errors.New("no session")
	}
	return err
}

func (b *bare) table(w http.ResponseWriter, r *http.Request) error {
	if err := b.session(r.Context()); err != nil {
		return err
	}
	found, err := b.pool.Query(r.Context(), `SELECT i.license_id, d.name, i.sku, i.expires_at FROM issuances i JOIN deployments d ON d.id = i.deployment_id
		WHERE i.organization_id = $1 ORDER BY i.stored_at DESC, i.license_id DESC LIMIT 26`, b.organization)
	if err != nil {
		return err
	}
	rows, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (s shown, err error) {
		return s, row.Scan(&s.id, &s.deployment, &s.sku, &s.expiresAt)
	})
	if err != nil {
		return err
	}
	return writeTable(w, rows)
}

func (b *bare) file(w http.ResponseWriter, r *http.Request) error {
	if err := b.session(r.Context()); err != nil {
		return err
	}
	var envelope []byte
	err := b.pool.QueryRow(r.Context(), "SELECT envelope FROM issuances WHERE license_id = $1", r.PathValue("license")).Scan(&envelope)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(envelope) // the client went away
	return nil
}

// noted is file with a durable row for each download.
func (b *bare) noted(w http.ResponseWriter, r *http.Request) error {
	if _, err := b.pool.Exec(r.Context(), "INSERT INTO noted (license_id, at) VALUES ($1, now())", r.PathValue("license")); err != nil {
		return err
	}
	return b.file(w, r)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// sameQueries reads what the portal's page reads, and looks no session up.
func (b *bare) sameQueries(w http.ResponseWriter, r *http.Request) error {
	list, _, err := b.store.LicensePage(r.Context(), b.organization, fulfillment.FilterCurrent, fulfillment.Page{}, time.Now())
	if err != nil {
		return err
	}
	if _, _, err := b.store.OrderPage(r.Context(), b.organization, fulfillment.OrdersOpen, fulfillment.Page{}); err != nil {
		return err
	}
	rows := make([]shown, len(list))
	for i, l := range list {
		rows[i] = shown{l.ID, l.DeploymentName, l.Payload.SKU, l.Payload.ExpiresAt}
	}
	return writeTable(w, rows)
}

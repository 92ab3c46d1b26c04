package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/alexedwards/scs/v2"
)

const (
	pageReaders = 32 // connections
	pageRows    = 20 // licenses that the customer has
)

// pages compares the list of licenses and a download with the barest handlers that answer the same from the same rows. The
// list has two peers: one asks the portal's own two queries, which leaves out what the queries themselves cost; the other
// asks for no more than the table shows.
func pages(ctx context.Context, l *lab) ([]result, error) {
	s, err := openShop(ctx, l, "pages")
	if err != nil {
		return nil, err
	}
	if err := s.work(ctx, l); err != nil {
		return nil, err
	}
	organization, ids, cookie, err := s.regular(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := openBare(ctx, l, s, organization)
	if err != nil {
		return nil, err
	}
	if err := s.wantRows(ctx, s.url+"/licenses", cookie, ids); err != nil {
		return nil, err
	}
	get := func(at func(n int64) string) operation {
		return func(ctx context.Context, n int64) error { _, err := s.get(ctx, at(n), cookie); return err }
	}
	always := func(url string) func(int64) string { return func(int64) string { return url } }
	each := func(format string) func(int64) string {
		return func(n int64) string { return fmt.Sprintf(format, ids[n%int64(len(ids))]) }
	}
	page, err := l.race(ctx, pageReaders, get(always(s.url+"/licenses")), get(always(plain+"/same-queries")), get(always(plain+"/table")))
	if err != nil {
		return nil, err
	}
	file, err := l.race(ctx, pageReaders, get(each(s.url+"/licenses/%s/license.json")), get(each(plain+"/file/%s")), get(each(plain+"/noted/%s")))
	if err != nil {
		return nil, err
	}
	at := fmt.Sprintf(", at %d connections", pageReaders)
	return []result{
		atLeast(fmt.Sprintf("page of %d licenses%s, against its two queries and a plain table", pageRows, at), page[0], page[1], 0.7),
		atLeast("  the same, against a session, one short query and a plain table", page[0], page[2], 0.7),
		atLeast("download of a license"+at+", against a row by its key and a session", file[0], file[1], 0.7),
		atLeast("  the same, against one that also notes each download durably", file[0], file[2], 0),
	}, nil
}

// regular makes a customer with licenses who is signed in.
func (s *shop) regular(ctx context.Context) (organization string, licenses []string, cookie string, err error) {
	organization, user, err := s.customer(ctx)
	if err != nil {
		return "", nil, "", err
	}
	for range pageRows {
		o, err := s.order(ctx, organization, user)
		if err != nil {
			return "", nil, "", err
		}
		if err := s.pay(ctx, o); err != nil {
			return "", nil, "", err
		}
		if o, err = s.orders.Order(ctx, organization, o.ID); err != nil {
			return "", nil, "", err
		}
		licenses = append(licenses, o.LicenseID)
	}
	cookie, err = s.signIn(ctx, organization, user)
	return organization, licenses, cookie, err
}

// signIn makes a session as the portal's sign-in leaves it.
func (s *shop) signIn(ctx context.Context, organization, user string) (cookie string, err error) {
	m := scs.New()
	m.Store, m.HashTokenInStore = s.sessions, true
	if ctx, err = m.Load(ctx, ""); err != nil {
		return "", err
	}
	m.Put(ctx, "user", user)
	m.Put(ctx, "organization", organization)
	token, _, err := m.Commit(ctx)
	return "session=" + token, err
}

func (s *shop) get(ctx context.Context, url, cookie string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Cookie", cookie)
	return s.send(r)
}

// wantRows makes sure that the page is the one that is meant.
func (s *shop) wantRows(ctx context.Context, url, cookie string, ids []string) error {
	page, err := s.get(ctx, url, cookie)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !bytes.Contains(page, []byte(id)) {
			return fmt.Errorf("the page does not show license %s", id)
		}
	}
	return nil
}

package web

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// sessionLife is how long a person stays signed in. It is absolute, so that reading pages writes nothing.
const sessionLife = 14 * 24 * time.Hour

// What a session holds.
const (
	sessUser         = "user"
	sessOrganization = "organization"
	sessReturnTo     = "return_to"
	sessSignIn       = "sign_in"       // ID of the sign-in that waits for its code
	sessSignInEmail  = "sign_in_email" // to whom it was sent
	sessSignInAt     = "sign_in_at"    // when
)

func newSessions(store scs.Store, secure bool, trouble func(http.ResponseWriter, *http.Request, error)) *scs.SessionManager {
	m := scs.New()
	m.Store = store
	m.Lifetime = sessionLife
	m.HashTokenInStore = true
	m.ErrorFunc = trouble
	m.Cookie.Name = cookieName("session", secure)
	m.Cookie.Secure = secure
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	m.Cookie.Path = "/"
	return m
}

// cookieName is __Host-NAME under https, which binds the cookie to this host alone. Browsers refuse the prefix under
// http, as the demo runs.
func cookieName(name string, secure bool) string {
	if secure {
		return "__Host-" + name
	}
	return name
}

// sessionTrouble answers when the session store does not.
func (s *server) sessionTrouble(w http.ResponseWriter, r *http.Request, err error) {
	s.fail(w, r, fmt.Errorf("%w: sessions: %w", fulfillment.ErrUnavailable, err))
}

// actor is who asks, looked up anew on each request.
type actor struct {
	user         account.User
	organization account.Organization // zero: none chosen or none yet
	role         account.Role
	several      bool // member of more than one organization
	memberships  []account.Membership
}

// mayChange reports whether the actor may do more than read: download links, "installed" marks.
func (a actor) mayChange() bool {
	return a.role == account.RoleOwner || a.role == account.RoleBilling || a.role == account.RoleOperator
}

func actorOf(ctx context.Context) (actor, bool) {
	a, ok := ctx.Value(keyActor).(actor)
	return a, ok
}

// member is the actor of a route that requires one.
func member(r *http.Request) actor {
	a, _ := actorOf(r.Context())
	return a
}

// loadActor finds who asks. Memberships are asked each time, so that who leaves an organization loses access at once.
func (s *server) loadActor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := s.sessions.GetString(r.Context(), sessUser)
		if id == "" {
			next.ServeHTTP(w, r)
			return
		}
		user, memberships, err := s.Accounts.Memberships(r.Context(), id)
		if errors.Is(err, account.ErrUserUnknown) { // the session outlived its user, as after a restore
			next.ServeHTTP(w, r)
			return
		}
		if err != nil {
			s.fail(w, r, fmt.Errorf("memberships: %w", err))
			return
		}
		a := actor{user: user, several: len(memberships) > 1, memberships: memberships}
		chosen := s.sessions.GetString(r.Context(), sessOrganization)
		for _, m := range memberships {
			if m.Organization.ID == chosen {
				a.organization, a.role = m.Organization, m.Role
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyActor, a)))
	})
}

// requireUser sends who is not signed in to the sign-in page, and back afterwards.
func (s *server) requireUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := actorOf(r.Context()); ok {
			next.ServeHTTP(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/events") { // a stream cannot sign in
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		target := "/sign-in"
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			target += "?return_to=" + url.QueryEscape(r.URL.RequestURI())
		}
		_ = see(w, r, target)
	})
}

// requireOrganization sends who has not named or chosen an organization to do so.
func (s *server) requireOrganization(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := member(r)
		if a.organization.ID != "" {
			next.ServeHTTP(w, r)
			return
		}
		target := "/sign-in/choose"
		if len(a.memberships) == 0 {
			target = "/welcome"
		}
		_ = see(w, r, target)
	})
}

// buyer lets only those through who may place orders; changer those who may do more than read.
func (s *server) buyer(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !member(r).role.MayBuy() {
			return errForbidden
		}
		return h(w, r)
	}
}

func (s *server) changer(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !member(r).mayChange() {
			return errForbidden
		}
		return h(w, r)
	}
}

// browserSecret reads the secret that ties a sign-in to the browser that asked for it; "" when it has none.
func (s *server) browserSecret(r *http.Request) string {
	c, err := r.Cookie(cookieName("browser", s.secure()))
	if err != nil || len(c.Value) != base64.RawURLEncoding.EncodedLen(browserBytes) {
		return ""
	}
	return c.Value
}

const browserBytes = 32

// ensureBrowserSecret makes the secret on the first sign-in form that a browser sends.
func (s *server) ensureBrowserSecret(w http.ResponseWriter, r *http.Request) (string, error) {
	if secret := s.browserSecret(r); secret != "" {
		return secret, nil
	}
	b := make([]byte, browserBytes)
	if _, err := io.ReadFull(s.Rand, b); err != nil {
		return "", fmt.Errorf("randomness: %w", err)
	}
	secret := base64.RawURLEncoding.EncodeToString(b)
	http.SetCookie(w, &http.Cookie{
		Name: cookieName("browser", s.secure()), Value: secret, Path: "/", MaxAge: 400 * 24 * 3600,
		Secure: s.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return secret, nil
}

// localPath answers target when it is a path of this portal, else "/".
func localPath(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(target, "/") ||
		strings.HasPrefix(target, "//") || strings.ContainsAny(target, "\\\r\n\t") || len(target) > 1000 {
		return "/"
	}
	return target
}

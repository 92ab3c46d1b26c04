package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const (
	maxAnswer      = 1 << 20 // bytes of any answer of a router
	maxSecretFile  = 4 << 10 // bytes
	requestTimeout = 10 * time.Second
	modelsPath     = "/v1/models"
	pollInterval   = 250 * time.Millisecond
	defaultWait    = 2 * time.Minute // a router rechecks every minute unless it is told otherwise
)

// routerFlags say which router to ask, and with what. Secrets come from files: every user of a host can read command
// lines.
type routerFlags struct {
	url, user, passwordFile, tokenFile string
	plain                              bool
	wait                               time.Duration
}

// register adds the flags for asking a router's status.
func (f *routerFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.url, "router", "", "the router's base `URL`, like http://127.0.0.1:8080")
	flags.StringVar(&f.user, "admin-user", "admin", "the `NAME` for the router's /admin/")
	flags.StringVar(&f.passwordFile, "admin-password-file", "", "the `FILE` that holds the password for the router's /admin/")
	flags.BoolVar(&f.plain, "plain-http", false, "send the password over http also to another host than this one")
}

// registerWait adds the flags for waiting until a router serves with a license.
func (f *routerFlags) registerWait(flags *flag.FlagSet) {
	f.register(flags)
	flags.StringVar(&f.tokenFile, "token-file", "", "the `FILE` that holds a bearer token for the router's /v1/; without it /v1/models is not called")
	flags.DurationVar(&f.wait, "wait", defaultWait, "how long to wait for the router (`DURATION`)")
}

// router is a running router, asked over HTTP.
type router struct {
	base            *url.URL
	user, password  string
	token           string // "" where /v1/ is not to be called
	client          *http.Client
	betweenRequests time.Duration
}

// open returns nil where no router was named.
func (f routerFlags) open() (*router, error) {
	if f.url == "" {
		return nil, nil
	}
	base, err := url.Parse(f.url)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https"):
		return nil, usagef("-router takes a URL like http://127.0.0.1:8080")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, usagef("-router takes scheme, host, port and path alone: the password comes from -admin-password-file")
	case base.Scheme == "http" && !local(base.Hostname()) && !f.plain:
		return nil, usagef("%s is another host, and over http its password could be read on the way: use https, or -plain-http", base.Host)
	case f.passwordFile == "":
		return nil, usagef("-admin-password-file FILE is missing: the router's status needs it")
	}
	r := &router{base: base, user: f.user, client: &http.Client{
		Timeout: requestTimeout,
		// A redirect could carry the credentials elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, betweenRequests: pollInterval}
	if r.password, err = readSecret(f.passwordFile); err != nil {
		return nil, usagef("-admin-password-file: %w", err)
	}
	if f.tokenFile != "" {
		if r.token, err = readSecret(f.tokenFile); err != nil {
			return nil, usagef("-token-file: %w", err)
		}
	}
	return r, nil
}

// local reports whether a host name is this host for sure.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// readSecret reads one line from a file.
func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" || len(data) > maxSecretFile || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%s must hold one line", path)
	}
	return secret, nil
}

// get answers the status and body of a GET. The error names the path and never the credentials.
func (r *router) get(ctx context.Context, path string, authorize func(*http.Request)) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base.JoinPath(path).String(), nil)
	if err != nil {
		return 0, nil, err
	}
	if authorize != nil {
		authorize(request)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return 0, nil, remotef("the router does not answer at %s: %w", r.base.Host, withoutURL(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, remotef("the router's answer at %s broke off", path)
	case len(body) > maxAnswer:
		return 0, nil, remotef("the router's answer at %s is larger than %d bytes", path, maxAnswer)
	}
	return response.StatusCode, body, nil
}

// withoutURL drops the address that net/http puts into its errors: it may hold a token.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// status asks for the safe status, with its HTTP status behind authentication.
func (r *router) status(ctx context.Context) (license.SafeStatus, error) {
	code, body, err := r.get(ctx, "/admin/license/status", func(q *http.Request) { q.SetBasicAuth(r.user, r.password) })
	if err != nil {
		return license.SafeStatus{}, err
	}
	switch code {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return license.SafeStatus{}, remotef("the router refuses the name or password for /admin/license/status (%d)", code)
	default:
		return license.SafeStatus{}, remotef("the router answers %d at /admin/license/status", code)
	}
	var status license.SafeStatus
	if err := json.Unmarshal(body, &status); err != nil || status.Status == "" {
		return license.SafeStatus{}, remotef("what answers at /admin/license/status is no license status")
	}
	return status, nil
}

// ask checks that the router is there and takes the credentials, before anything changes.
func (r *router) ask(ctx context.Context) error {
	_, err := r.status(ctx)
	return err
}

// accepts waits until the router serves with the license. Its error says what was missing last. A look that was begun
// in time is finished, so that a slow router gets one too: it may take requestTimeout longer. Where it serves, it
// returns what the router says about it, which is "" or a notice such as an announced revocation.
func (r *router) accepts(ctx context.Context, licenseID string, wait time.Duration) (notice string, err error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(r.betweenRequests)
	defer tick.Stop()
	for {
		notice, missing := r.look(ctx, licenseID)
		if missing == nil {
			return notice, nil
		}
		select {
		case <-waiting.Done():
			if ctx.Err() != nil {
				return "", remotef("stopped while waiting for the router: %w", missing)
			}
			return "", remotef("the router did not take it within %s: %w", wait, missing)
		case <-tick.C:
		}
	}
}

// look asks once for everything that a router with this license answers.
func (r *router) look(ctx context.Context, licenseID string) (notice string, err error) {
	status, err := r.status(ctx)
	switch {
	case err != nil:
		return "", err
	case status.LicenseID != licenseID:
		return "", fmt.Errorf("it still names %s (%s)", shown(status.LicenseID), words(status))
	case status.Status != license.CodeValid:
		return "", fmt.Errorf("it says %s", words(status))
	}
	for _, question := range []struct {
		path     string
		accepted func(code int, body []byte) bool
		token    string
	}{
		{"/readyz", func(code int, _ []byte) bool { return code == http.StatusOK }, ""},
		{"/metrics", func(code int, body []byte) bool { return code != http.StatusOK || metricsName(body, licenseID) }, ""},
		{modelsPath, func(code int, _ []byte) bool { return code == http.StatusOK }, r.token},
	} {
		if question.path == modelsPath && r.token == "" {
			continue // the router would only refuse it
		}
		code, body, err := r.get(ctx, question.path, bearer(question.token))
		if err != nil {
			return "", err
		}
		if !question.accepted(code, body) {
			if code == http.StatusOK {
				return "", fmt.Errorf("%s still names another license", question.path)
			}
			return "", fmt.Errorf("%s answers %d", question.path, code)
		}
	}
	return status.Reason, nil
}

func bearer(token string) func(*http.Request) {
	if token == "" {
		return nil
	}
	return func(q *http.Request) { q.Header.Set("Authorization", "Bearer "+token) }
}

func words(s license.SafeStatus) string {
	if s.Reason == "" {
		return printable(string(s.Status))
	}
	return printable(string(s.Status) + ": " + s.Reason)
}

var licenseLabel = regexp.MustCompile(`[{,]license_id="([^"]*)"`)

// metricsName reports whether metrics name this license, where they name any.
func metricsName(body []byte, licenseID string) bool {
	named := false
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, maxAnswer+1)
	for lines.Scan() {
		if found := licenseLabel.FindStringSubmatch(lines.Text()); found != nil {
			if found[1] == licenseID {
				return true
			}
			named = true
		}
	}
	return !named
}

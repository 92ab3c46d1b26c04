package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const maxRedirects = 3

// download is an address of the portal that hands out a file: a re-download link, or that of the revocation bundle. Whoever
// holds a re-download link may download the license, so no message shows more of an address than its host.
type download struct {
	noun   string
	link   *url.URL
	client *http.Client
}

// finalError says that no further try helps, such as for a link that will never work again.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func newDownload(noun, text string, timeout time.Duration) (*download, error) {
	link, err := url.Parse(text)
	switch {
	case err != nil || link.Host == "":
		return nil, usagef("the %s is no URL", noun)
	case link.Scheme != "https" && (link.Scheme != "http" || !local(link.Hostname())):
		return nil, usagef("the %s must begin with https://", noun)
	case link.User != nil || link.RawQuery != "" || link.Fragment != "":
		return nil, usagef("the %s must have no password, query or fragment", noun)
	}
	return &download{noun: noun, link: link, client: &http.Client{
		Timeout: timeout,
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			if next.URL.Scheme != link.Scheme || next.URL.Host != link.Host {
				return errors.New("it redirects to another host")
			}
			if len(before) > maxRedirects {
				return errors.New("it redirects too often")
			}
			return nil
		},
	}}, nil
}

// fetch presses the page's one button: a GET never hands out the file. It returns the bytes as they came, at most
// license.MaxFileSize of them.
func (d *download) fetch(ctx context.Context) ([]byte, error) {
	response, err := d.ask(ctx, http.MethodPost, "")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNotFound:
		return nil, finalError{remotef("the portal does not know this link: copy it whole")}
	case http.StatusGone:
		return nil, finalError{remotef("this link no longer works: make a new one on the license's page")}
	}
	return d.read(response, license.MaxFileSize)
}

// ask sends a request; the one who asks closes the answer. With the hexadecimal SHA-256 of a file that is there already,
// the portal may answer 304.
func (d *download) ask(ctx context.Context, method, have string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, d.link.String(), nil)
	if err != nil {
		return nil, usagef("the %s is no URL", d.noun)
	}
	request.Header.Set("Accept", "application/json")
	if have != "" {
		request.Header.Set("If-None-Match", strconv.Quote(have))
	}
	response, err := d.client.Do(request)
	if err != nil {
		return nil, remotef("the portal does not answer at %s: %w", d.link.Host, withoutURL(err))
	}
	return response, nil
}

// read reads the file that the portal answered with.
func (d *download) read(response *http.Response, limit int) ([]byte, error) {
	switch code := response.StatusCode; {
	case code == http.StatusTooManyRequests:
		return nil, remotef("the portal asks to wait before the next try (429)")
	case code != http.StatusOK:
		return nil, remotef("the portal answers %d", code)
	case strings.HasPrefix(response.Header.Get("Content-Type"), "text/html"):
		return nil, remotef("the portal answers with a page and not with a file: is this a %s?", d.noun)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, remotef("the download broke off")
	case len(data) > limit:
		return nil, remotef("the download is larger than such a file may be (%d bytes)", limit)
	}
	return data, nil
}

// String keeps the token out of every message.
func (d *download) String() string { return fmt.Sprintf("%s://%s/…", d.link.Scheme, d.link.Host) }

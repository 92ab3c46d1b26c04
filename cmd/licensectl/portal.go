package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/metrum-ai/licensing-portal/license"
)

const maxRedirects = 3

// download is a re-download link of the portal. Whoever holds it may download the license, so no message shows it.
type download struct {
	link   *url.URL
	client *http.Client
}

// goneError says that a link will never work again.
type goneError struct{ error }

func (e goneError) Unwrap() error { return e.error }

func newDownload(text string) (*download, error) {
	link, err := url.Parse(text)
	switch {
	case err != nil || link.Host == "":
		return nil, usagef("the re-download link is no URL")
	case link.Scheme != "https" && (link.Scheme != "http" || !local(link.Hostname())):
		return nil, usagef("the re-download link must begin with https://")
	case link.User != nil || link.RawQuery != "" || link.Fragment != "":
		return nil, usagef("the re-download link must have no password, query or fragment")
	}
	return &download{link: link, client: &http.Client{
		Timeout: requestTimeout,
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
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.link.String(), nil)
	if err != nil {
		return nil, usagef("the re-download link is no URL")
	}
	request.Header.Set("Accept", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return nil, remotef("the portal does not answer at %s: %w", d.link.Host, withoutURL(err))
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code == http.StatusNotFound:
		return nil, goneError{remotef("the portal does not know this link: copy it whole")}
	case code == http.StatusGone:
		return nil, goneError{remotef("this link no longer works: make a new one on the license's page")}
	case code == http.StatusTooManyRequests:
		return nil, remotef("the portal asks to wait before the next try (429)")
	case code != http.StatusOK:
		return nil, remotef("the portal answers %d", code)
	case strings.HasPrefix(response.Header.Get("Content-Type"), "text/html"):
		return nil, remotef("the portal answers with a page and not with a file: is this a re-download link?")
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, license.MaxFileSize+1))
	switch {
	case err != nil:
		return nil, remotef("the download broke off")
	case len(data) > license.MaxFileSize:
		return nil, remotef("the download is larger than a license file may be (%d bytes)", license.MaxFileSize)
	}
	return data, nil
}

// String keeps the token out of every message.
func (d *download) String() string { return fmt.Sprintf("%s://%s/…", d.link.Scheme, d.link.Host) }

package billing

import (
	"io"
	"net/http"
)

// maxResponse is far above what Stripe answers: a page of 100 events.
const maxResponse = 8 << 20

// bounded cuts answers off at maxResponse, which then do not decode.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxResponse), response.Body}
	return response, nil
}

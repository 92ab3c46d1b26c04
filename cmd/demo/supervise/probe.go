package supervise

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// HTTP is a probe that is content with any answer below 500 from the address.
// One try takes 2 s at most.
func HTTP(url string) func(context.Context) error {
	client := &http.Client{
		Timeout:       2 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("supervise: %w", err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("supervise: %w", err)
		}
		resp.Body.Close()
		if resp.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("supervise: %s answers %s", url, resp.Status)
		}
		return nil
	}
}

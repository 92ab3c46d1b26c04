package e2e

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An operator swaps two licenses ten times beside a router under load: no request is refused, and no status mixes the two.
func TestTenInstallsUnderLoadRefuseNoRequest(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	p := customer(t, d)
	tokens := map[string]int64{}
	var files, ids []string
	for sku, volume := range map[string]int64{pack5: 5_000_000, pack25: 25_000_000} {
		p.buy(sku, "router-"+sku, "card_ok")
		id := p.licenseID()
		tokens[id] = volume
		ids, files = append(ids, id), append(files, p.download("Download license.json"))
	}
	d.install(t, files[0])
	d.routerServes(t, ids[0])

	var stop atomic.Bool
	var answered, refused atomic.Int64
	var load sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	for range 4 {
		load.Go(func() {
			for ; !stop.Load(); time.Sleep(time.Millisecond) { // the smaller pack holds 100,000 requests
				req, err := http.NewRequest(http.MethodPost, d.info.RouterURL+"/v1/echo", bytes.NewReader([]byte(`"hello"`)))
				if err != nil {
					panic(err)
				}
				req.Header.Set("Authorization", "Bearer "+d.info.RouterToken)
				req.Header.Set("Content-Type", "application/json")
				res, err := client.Do(req)
				if err != nil {
					refused.Add(1)
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				answered.Add(1)
				if res.StatusCode != http.StatusOK {
					refused.Add(1)
				}
			}
		})
	}
	for n := 1; n <= 10; n++ {
		which := n % 2
		out, errs, code := d.tool(t, nil, "licensectl", "install", "-yes", "-keys", d.info.KeysFile, "-fingerprint", fingerprint, files[which], "-to", d.info.RouterLicensePath)
		if code != 0 {
			t.Errorf("install %d: exit %d\n%s%s", n, code, out, errs)
			break
		}
		eventually(t, waitLong, "the router serves "+ids[which], func() bool {
			s := d.routerStatus(t)
			if s.Limits.MaxTotalTokens != tokens[s.LicenseID] {
				t.Errorf("a status that mixes two licenses: %+v", s)
			}
			return s.LicenseID == ids[which]
		})
	}
	stop.Store(true)
	load.Wait()
	if refused.Load() > 0 || answered.Load() < 100 {
		t.Fatalf("%d of %d requests were refused", refused.Load(), answered.Load())
	}
	t.Logf("%d requests over ten installs", answered.Load())
}

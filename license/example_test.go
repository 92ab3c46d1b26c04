package license_test

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

const keyRingFile = `{"keys": [{
	"key_id": "test-ed25519-2026-01",
	"algorithm": "ed25519",
	"public_key_base64": "OA4Q+S4ZX1Tuh7HmqOr/cexcTt+m1DnpuQDVfzGXCpg="
}]}`

// Verify a file offline: the keys are built into the program, the clock and the instance's fingerprint are given.
func Example() {
	ring, err := license.ParseKeyRing([]byte(keyRingFile))
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := license.ReadFile("testdata/vectors/accept-credit-pack.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	l, err := license.Read(data, ring, now)
	if err == nil {
		err = l.Check(now, "fp:prod-a")
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	p := l.Payload()
	fmt.Println(p.SKU, p.Limits.MaxTotalTokens, l.Allows("routing"), l.Allows("pii_filtering"))
	// Output: credit-pack-5m 5000000 true false
}

// A refusal carries the status code that a router reports, and the HTTP status its callers get.
func ExampleError() {
	ring, _ := license.ParseKeyRing([]byte(keyRingFile))
	data, _ := os.ReadFile("testdata/vectors/accept-credit-pack.json")
	now := time.Date(2027, 11, 1, 0, 0, 0, 0, time.UTC)
	l, err := license.Read(data, ring, now)
	if err == nil {
		err = l.Check(now, "fp:prod-a")
	}
	var refusal *license.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Code, refusal.Code.HTTPStatus(), refusal.Reason)
	}
	// Output: license-expired 403 expired at 2027-11-01T00:00:00Z
}

// What a person may be shown about a license.
func ExampleLicense_SafeStatus() {
	ring, _ := license.ParseKeyRing([]byte(keyRingFile))
	data, _ := os.ReadFile("testdata/vectors/accept-eval.json")
	l, err := license.Read(data, ring, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	status := l.SafeStatus()
	fmt.Println(status.LicenseID, status.SKU, status.KeyID, status.ExpiresAt.Format(time.RFC3339))
	// Output: lic_eval_72h_20261130_1111111111111111 eval-72h test-ed25519-2026-01 2026-12-03T00:00:00Z
}

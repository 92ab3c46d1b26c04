package view

import (
	"encoding/json"
	"strings"

	"github.com/metrum-ai/licensing-portal/license"
)

// Expected is what the router answers at /readyz once it runs this license: the safe fields in the module's own spelling.
// The version is the router's, which the portal does not know.
func (i Install) Expected() string {
	p := i.License.Payload
	reply, err := json.Marshal(license.SafeStatus{
		LicenseID: p.LicenseID, SKU: p.SKU, KeyID: p.KeyID, ExpiresAt: p.ExpiresAt, Status: license.CodeValid, RouterVersion: "…",
	})
	if err != nil { // only a date beyond the year 9999, which no license has
		return p.LicenseID
	}
	return strings.TrimSpace(string(reply))
}

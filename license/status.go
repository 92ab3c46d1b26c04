package license

import "time"

// SafeStatus is what a log, a metric or a support hand-off may show about a license, and nothing else.
type SafeStatus struct {
	LicenseID     string    `json:"license_id"`
	SKU           string    `json:"sku"`
	KeyID         string    `json:"key_id"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
	Status        Code      `json:"status"`
	Reason        string    `json:"reason"`
	GraceActive   bool      `json:"grace_active"`
	RouterVersion string    `json:"router_version"`
}

// SafeStatus returns the license's own safe fields; status, reason, grace and router version are the caller's.
func (l *License) SafeStatus() SafeStatus {
	return SafeStatus{
		LicenseID: l.payload.LicenseID,
		SKU:       l.payload.SKU,
		KeyID:     l.payload.KeyID,
		ExpiresAt: l.payload.ExpiresAt,
	}
}

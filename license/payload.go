package license

import "time"

// Constants that every license of this product carries.
const (
	SchemaVersion = 1
	Product       = "genai-smart-router"
	Issuer        = "metrum-ai"
	Algorithm     = "ed25519"
)

// Payload is the signed claims of a license. Times are whole seconds in UTC.
// The zero GraceUntil means that the template gives no grace.
type Payload struct {
	SchemaVersion int64      `json:"schema_version"`
	LicenseID     string     `json:"license_id"`
	CustomerID    string     `json:"customer_id"`
	CustomerName  string     `json:"customer_name,omitempty"` // left out when empty
	Product       string     `json:"product"`
	SKU           string     `json:"sku"`
	Features      []string   `json:"features"` // sorted
	Limits        Limits     `json:"limits"`
	Deployment    Deployment `json:"deployment"`
	IssuedAt      time.Time  `json:"issued_at"`
	NotBefore     time.Time  `json:"not_before"`
	ExpiresAt     time.Time  `json:"expires_at"`
	GraceUntil    time.Time  `json:"grace_until"`
	KeyID         string     `json:"key_id"`
	Issuer        string     `json:"issuer"`
	Notes         string     `json:"notes,omitempty"` // left out when empty; never secrets
}

// Limits of a license; zero means no limit. Every number is below 2^53.
type Limits struct {
	MaxModelGroups        int64    `json:"max_model_groups,omitempty"`
	MaxCallers            int64    `json:"max_callers,omitempty"`
	MaxMonthlyRequests    int64    `json:"max_monthly_requests,omitempty"`
	MaxTotalTokens        int64    `json:"max_total_tokens,omitempty"`
	MaxTotalRequests      int64    `json:"max_total_requests,omitempty"`
	WindowTokens          int64    `json:"window_tokens,omitempty"`
	WindowRequests        int64    `json:"window_requests,omitempty"`
	WindowDurationSeconds int64    `json:"window_duration_seconds,omitempty"`
	MaxConcurrent         int64    `json:"max_concurrent,omitempty"`
	MaxAdmins             int64    `json:"max_admins,omitempty"`
	MaxRetentionDays      int64    `json:"max_retention_days,omitempty"`
	MaxInstances          int64    `json:"max_instances,omitempty"`
	AllowedSkins          []string `json:"allowed_skins,omitempty"`
}

// Deployment says where a license may be used.
type Deployment struct {
	Mode                        string   `json:"mode,omitempty"`
	DeploymentID                string   `json:"deployment_id,omitempty"`
	AllowedEnvironments         []string `json:"allowed_environments,omitempty"`
	InstanceFingerprintRequired bool     `json:"instance_fingerprint_required,omitempty"`
	InstanceFingerprint         string   `json:"instance_fingerprint,omitempty"`
	AllowedInstances            []string `json:"allowed_instances,omitempty"`             // raw fingerprints
	BindingVersion              int64    `json:"binding_version,omitempty"`               // 0 or 1
	AllowedInstanceFingerprints []string `json:"allowed_instance_fingerprints,omitempty"` // "sha256:" and hex
	MaxOfflineInstances         int64    `json:"max_offline_instances,omitempty"`
}

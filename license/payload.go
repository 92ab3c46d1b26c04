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
	SchemaVersion int64
	LicenseID     string
	CustomerID    string
	CustomerName  string // left out when empty
	Product       string
	SKU           string
	Features      []string // sorted
	Limits        Limits
	Deployment    Deployment
	IssuedAt      time.Time
	NotBefore     time.Time
	ExpiresAt     time.Time
	GraceUntil    time.Time
	KeyID         string
	Issuer        string
	Notes         string // left out when empty; never secrets
}

// Limits of a license; zero means no limit. Every number is below 2^53.
type Limits struct {
	MaxModelGroups        int64
	MaxCallers            int64
	MaxMonthlyRequests    int64
	MaxTotalTokens        int64
	MaxTotalRequests      int64
	WindowTokens          int64
	WindowRequests        int64
	WindowDurationSeconds int64
	MaxConcurrent         int64
	MaxAdmins             int64
	MaxRetentionDays      int64
	MaxInstances          int64
	AllowedSkins          []string
}

// Deployment says where a license may be used.
type Deployment struct {
	Mode                        string
	DeploymentID                string
	AllowedEnvironments         []string
	InstanceFingerprintRequired bool
	InstanceFingerprint         string
	AllowedInstances            []string // raw fingerprints
	BindingVersion              int64    // 0 or 1
	AllowedInstanceFingerprints []string // "sha256:" and hex
	MaxOfflineInstances         int64
}

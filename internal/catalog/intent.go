package catalog

// IssuanceKind says what an order asks for.
type IssuanceKind string

// The kinds of issuance. An order may ask for each but a replacement, which is staff's and has no order intent.
const (
	IssueNew         IssuanceKind = "new"
	IssueRenewal     IssuanceKind = "renewal"
	IssueTopUp       IssuanceKind = "top_up"
	IssueReplacement IssuanceKind = "replacement"
)

// Intent is all that an order asks to be issued. It travels as Stripe metadata, so that it comes back inside what
// Stripe signs; nothing else from the portal is ever signed.
type Intent struct {
	OrderID      string // "ord_…", the fulfillment key of a one-time purchase
	Kind         IssuanceKind
	Template     string // sku@version
	Quantity     int
	CustomerID   string // "cust_…", the organization
	CustomerName string // at most 200 bytes
	DeploymentID string // "dep_…", the lineage that licenses follow one another in
	Environments []string
	Fingerprints []string // raw, at most 20
	BaseID       string   // license ID of the base of a renewal or top-up
	BaseSHA256   string   // lower-case hex SHA-256 of the base envelope's exact bytes
}

package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What refuses an intent. Every error of this package wraps exactly one of these.
var (
	ErrMalformed    = errors.New("malformed intent")
	ErrQuantity     = errors.New("quantity outside the template")
	ErrRefused      = errors.New("outside the template's rules")
	ErrBaseMismatch = errors.New("base does not match the intent")
	ErrBaseExpired  = errors.New("base has expired")
)

// Bounds of an intent, inside Stripe's of 50 names of 40 characters and values of 500 characters.
const (
	maxFingerprints     = 20
	maxFingerprintBytes = 256
	maxNameBytes        = 200
	maxEnvironments     = 8
)

var (
	orderID      = regexp.MustCompile(`^ord_[0-9A-Za-z]{1,64}$`)
	customerID   = regexp.MustCompile(`^cust_[0-9A-Za-z_-]{1,64}$`)
	deploymentID = regexp.MustCompile(`^dep_[0-9A-Za-z_-]{1,64}$`)
	templateRef  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*@[1-9][0-9]{0,5}$`)
	environment  = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	quantity     = regexp.MustCompile(`^[1-9][0-9]{0,5}$`)
	hexDigest    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Metadata writes the intent as Stripe metadata: order_id, kind, template, quantity, customer_id, customer_name,
// deployment_id, environments (comma-separated), fp_1 … fp_20, base_id, base_sha256; empty values are left out.
func (i Intent) Metadata() map[string]string {
	all := map[string]string{
		"order_id": i.OrderID, "kind": string(i.Kind), "template": i.Template, "quantity": strconv.Itoa(i.Quantity),
		"customer_id": i.CustomerID, "customer_name": i.CustomerName, "deployment_id": i.DeploymentID,
		"environments": strings.Join(i.Environments, ","), "base_id": i.BaseID, "base_sha256": i.BaseSHA256,
	}
	for n, fp := range i.Fingerprints {
		all[fingerprintName(n)] = fp
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

func fingerprintName(n int) string { return "fp_" + strconv.Itoa(n+1) }

// ParseIntent reads an intent back from metadata, strictly: an unknown name, a gap in fp_1 … fp_20, a bad ID, or a base
// where the kind has none (or none where it has one) is an error that wraps ErrMalformed.
func ParseIntent(metadata map[string]string) (Intent, error) {
	i := Intent{
		OrderID: metadata["order_id"], Kind: IssuanceKind(metadata["kind"]), Template: metadata["template"],
		CustomerID: metadata["customer_id"], CustomerName: metadata["customer_name"],
		DeploymentID: metadata["deployment_id"], BaseID: metadata["base_id"], BaseSHA256: metadata["base_sha256"],
	}
	if !quantity.MatchString(metadata["quantity"]) {
		return Intent{}, fmt.Errorf("%w: quantity is not a plain positive number", ErrMalformed)
	}
	i.Quantity, _ = strconv.Atoi(metadata["quantity"]) // six digits at most
	if s := metadata["environments"]; s != "" {
		i.Environments = strings.Split(s, ",")
	}
	for n := 0; n < maxFingerprints; n++ {
		fp, ok := metadata[fingerprintName(n)]
		if !ok {
			break
		}
		i.Fingerprints = append(i.Fingerprints, fp)
	}
	// Whatever the intent does not write back was unknown, empty, or a fingerprint after a gap.
	if len(i.Metadata()) != len(metadata) {
		return Intent{}, fmt.Errorf("%w: unknown or empty names, or a gap between fingerprints", ErrMalformed)
	}
	if err := i.check(); err != nil {
		return Intent{}, err
	}
	return i, nil
}

// check validates what can be said of an intent alone.
func (i Intent) check() error {
	based := i.Kind == IssueRenewal || i.Kind == IssueTopUp
	switch {
	case !based && i.Kind != IssueNew:
		return fmt.Errorf("%w: unknown kind", ErrMalformed)
	case !orderID.MatchString(i.OrderID):
		return fmt.Errorf("%w: order_id is not ord_ and letters or digits", ErrMalformed)
	case !customerID.MatchString(i.CustomerID):
		return fmt.Errorf("%w: customer_id is not cust_ and letters or digits", ErrMalformed)
	case !deploymentID.MatchString(i.DeploymentID):
		return fmt.Errorf("%w: deployment_id is not dep_ and letters or digits", ErrMalformed)
	case !templateRef.MatchString(i.Template):
		return fmt.Errorf("%w: template is not sku@version", ErrMalformed)
	case i.Quantity < 1:
		return fmt.Errorf("%w: quantity is below one", ErrMalformed)
	case i.CustomerName != "" && !PlainText(i.CustomerName, maxNameBytes):
		return fmt.Errorf("%w: customer_name is not plain text of at most %d bytes", ErrMalformed, maxNameBytes)
	case based && (!PlainText(i.BaseID, 128) || !hexDigest.MatchString(i.BaseSHA256)):
		return fmt.Errorf("%w: a renewal or top-up needs base_id and base_sha256", ErrMalformed)
	case !based && (i.BaseID != "" || i.BaseSHA256 != ""):
		return fmt.Errorf("%w: a new license has no base", ErrMalformed)
	}
	return i.checkLists()
}

func (i Intent) checkLists() error {
	if len(i.Environments) > maxEnvironments || repeats(i.Environments) {
		return fmt.Errorf("%w: environments repeat or are more than %d", ErrMalformed, maxEnvironments)
	}
	for _, e := range i.Environments {
		if !environment.MatchString(e) {
			return fmt.Errorf("%w: an environment is not a lower-case word", ErrMalformed)
		}
	}
	if len(i.Fingerprints) > maxFingerprints || repeats(i.Fingerprints) {
		return fmt.Errorf("%w: fingerprints repeat or are more than %d", ErrMalformed, maxFingerprints)
	}
	for _, fp := range i.Fingerprints {
		if !PlainText(fp, maxFingerprintBytes) {
			return fmt.Errorf("%w: a fingerprint is not plain text of at most %d bytes", ErrMalformed, maxFingerprintBytes)
		}
	}
	return nil
}

// PlainText reports whether s is 1 to max bytes of printable UTF-8 without space at either end, so that it survives a
// form, Stripe and JSON unchanged.
func PlainText(s string, max int) bool {
	if s == "" || len(s) > max || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}

func repeats(list []string) bool {
	sorted := slices.Sorted(slices.Values(list))
	return len(slices.Compact(sorted)) != len(list)
}

// Validate checks an intent against the template it names. Of a renewal or top-up it leaves environments and
// fingerprints to Render, since they are the base's.
func (i Intent) Validate(t Template) error {
	if err := i.check(); err != nil {
		return err
	}
	if i.Template != t.Ref() {
		return fmt.Errorf("%w: the intent names another template", ErrRefused)
	}
	if i.Quantity > t.MaxQuantity {
		return fmt.Errorf("%w: at most %d", ErrQuantity, t.MaxQuantity)
	}
	if i.Kind != IssueNew {
		return nil
	}
	if len(i.Environments) == 0 {
		return fmt.Errorf("%w: a new license names at least one environment", ErrRefused)
	}
	if !subset(i.Environments, t.Environments) {
		return fmt.Errorf("%w: an environment is not one of the template's", ErrRefused)
	}
	if len(i.Fingerprints) > 0 && !t.FingerprintRequired {
		return fmt.Errorf("%w: the template takes no fingerprints", ErrRefused)
	}
	if t.Limits.MaxInstances > 0 && int64(len(i.Fingerprints)) > t.Limits.MaxInstances {
		return fmt.Errorf("%w: more fingerprints than the template's %d", ErrRefused, t.Limits.MaxInstances)
	}
	return nil
}

func subset(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(whole, s) })
}

package license

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

const instanceHashPrefix = "sha256:"

// InstanceHash returns the entry of allowed_instance_fingerprints that binds a license to the router with the raw
// fingerprint: "sha256:" and the hexadecimal SHA-256 of product, customer, license, deployment (or mode where the
// license names none) and fingerprint, joined by NUL bytes.
func (p *Payload) InstanceHash(fingerprint string) string {
	deployment := p.Deployment.DeploymentID
	if deployment == "" {
		deployment = p.Deployment.Mode
	}
	joined := strings.Join([]string{p.Product, p.CustomerID, p.LicenseID, deployment, fingerprint}, "\x00")
	sum := sha256.Sum256([]byte(joined))
	return instanceHashPrefix + hex.EncodeToString(sum[:])
}

func isInstanceHash(entry string) bool {
	digits, found := strings.CutPrefix(entry, instanceHashPrefix)
	if !found || len(digits) != 2*sha256.Size {
		return false
	}
	return strings.Trim(digits, "0123456789abcdef") == "" // every digit is in the set: nothing is left
}

// checkInstance reports whether the router with the raw fingerprint ("" for none) may use the license. A license
// that lists instances runs on those alone; one that requires a fingerprint and lists none runs on any router that
// has one.
func (p *Payload) checkInstance(fingerprint string) *Error {
	d := &p.Deployment
	listed := d.InstanceFingerprint != "" || len(d.AllowedInstances) > 0 || len(d.AllowedInstanceFingerprints) > 0
	switch {
	case !listed && !d.InstanceFingerprintRequired:
		return nil
	case fingerprint == "":
		return refuse(CodeInstanceLimit, "the license is bound to an instance and this router has no instance fingerprint")
	case !listed,
		fingerprint == d.InstanceFingerprint,
		slices.Contains(d.AllowedInstances, fingerprint),
		slices.Contains(d.AllowedInstanceFingerprints, p.InstanceHash(fingerprint)):
		return nil
	}
	return refuse(CodeInstanceLimit, "the license is bound to other instances than this one")
}

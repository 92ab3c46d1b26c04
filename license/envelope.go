package license

import "strings"

// MaxFileSize is the largest license file that is read, in bytes.
const MaxFileSize = 64 << 10

// envelope is what a well-formed file says; nothing in it is trusted before the signature verified.
type envelope struct {
	payload   Payload
	signature signature
}

const byteOrderMark = "\uFEFF"

// parseEnvelope reads the file's shape and types; the rules that span several members are Payload.check's.
func parseEnvelope(text string) (*envelope, *Error) {
	if strings.HasPrefix(text, byteOrderMark) {
		return nil, invalid("the file begins with a byte-order mark: save it as plain UTF-8")
	}
	s := &scanner{text: text}
	e := new(envelope)
	const (
		payload = iota
		signature
		all = 1<<iota - 1
	)
	seen := s.object(func(name string) int {
		switch name {
		case "payload":
			s.payload(&e.payload)
			return payload
		case "signature":
			s.signature(&e.signature)
			return signature
		}
		return -1
	})
	s.end()
	if s.err == nil && seen != all {
		s.err = invalid("the file must hold a payload and a signature")
	}
	if s.err != nil {
		return nil, s.err
	}
	return e, nil
}

// The numbers of the payload's members. Those before optional must be there.
const (
	memberSchemaVersion = iota
	memberLicenseID
	memberCustomerID
	memberProduct
	memberSKU
	memberFeatures
	memberIssuedAt
	memberNotBefore
	memberExpiresAt
	memberKeyID
	memberIssuer
	optional
	memberCustomerName
	memberLimits
	memberDeployment
	memberGraceUntil
	memberNotes
)

func (s *scanner) payload(p *Payload) {
	seen := s.object(func(name string) int {
		switch name {
		case "schema_version":
			p.SchemaVersion = s.integer()
			return memberSchemaVersion
		case "license_id":
			p.LicenseID = s.string()
			return memberLicenseID
		case "customer_id":
			p.CustomerID = s.string()
			return memberCustomerID
		case "customer_name":
			p.CustomerName = s.string()
			return memberCustomerName
		case "product":
			p.Product = s.string()
			return memberProduct
		case "sku":
			p.SKU = s.string()
			return memberSKU
		case "features":
			p.Features = s.strings()
			return memberFeatures
		case "limits":
			s.limits(&p.Limits)
			return memberLimits
		case "deployment":
			s.deployment(&p.Deployment)
			return memberDeployment
		case "issued_at":
			p.IssuedAt = s.timestamp()
			return memberIssuedAt
		case "not_before":
			p.NotBefore = s.timestamp()
			return memberNotBefore
		case "expires_at":
			p.ExpiresAt = s.timestamp()
			return memberExpiresAt
		case "grace_until":
			p.GraceUntil = s.timestamp()
			return memberGraceUntil
		case "key_id":
			p.KeyID = s.string()
			return memberKeyID
		case "issuer":
			p.Issuer = s.string()
			return memberIssuer
		case "notes":
			p.Notes = s.string()
			return memberNotes
		}
		return -1
	})
	const required = 1<<optional - 1
	if s.err == nil && seen&required != required {
		s.fail("the payload lacks a required name")
	}
}

func (s *scanner) limits(l *Limits) {
	s.object(func(name string) int {
		if name == "allowed_skins" {
			l.AllowedSkins = s.strings()
			return len(limitNames)
		}
		for i, known := range limitNames {
			if name == known {
				*l.number(i) = s.integer()
				return i
			}
		}
		return -1
	})
}

func (s *scanner) deployment(d *Deployment) {
	const (
		mode = iota
		deploymentID
		environments
		required
		fingerprint
		instances
		bindingVersion
		hashedInstances
		offlineInstances
	)
	s.object(func(name string) int {
		switch name {
		case "mode":
			d.Mode = s.string()
			return mode
		case "deployment_id":
			d.DeploymentID = s.string()
			return deploymentID
		case "allowed_environments":
			d.AllowedEnvironments = s.strings()
			return environments
		case "instance_fingerprint_required":
			d.InstanceFingerprintRequired = s.boolean()
			return required
		case "instance_fingerprint":
			d.InstanceFingerprint = s.string()
			return fingerprint
		case "allowed_instances":
			d.AllowedInstances = s.strings()
			return instances
		case "binding_version":
			d.BindingVersion = s.integer()
			return bindingVersion
		case "allowed_instance_fingerprints":
			d.AllowedInstanceFingerprints = s.strings()
			return hashedInstances
		case "max_offline_instances":
			d.MaxOfflineInstances = s.integer()
			return offlineInstances
		}
		return -1
	})
}

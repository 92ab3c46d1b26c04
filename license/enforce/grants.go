package enforce

import (
	"slices"

	"github.com/metrum-ai/licensing-portal/license"
)

// grants is what a license includes, as the request path looks it up.
type grants struct {
	features uint32
	skins    uint32 // all bits where the license lists none
	all      bool   // the feature "*"
}

func grantsOf(l *license.License) grants {
	p := l.Payload()
	g := grants{all: slices.Contains(p.Features, license.FeatureAll)}
	for _, feature := range p.Features {
		g.features |= featureBit(feature)
	}
	for _, skin := range p.Limits.AllowedSkins {
		g.skins |= skinBit(skin)
	}
	if len(p.Limits.AllowedSkins) == 0 {
		g.skins = ^uint32(0)
	}
	return g
}

func (g *grants) feature(name string) bool { return g.all || g.features&featureBit(name) != 0 }

// skin reports whether requests in the skin are allowed; "" is a request in none.
func (g *grants) skin(name string) bool { return name == "" || g.skins&skinBit(name) != 0 }

// featureBit returns 0 for a name that the format does not list: "*" alone allows it.
func featureBit(name string) uint32 {
	switch name {
	case license.FeatureRouting:
		return 1 << 0
	case "usage_reporting":
		return 1 << 1
	case "admin_reports":
		return 1 << 2
	case "admin_security_reports":
		return 1 << 3
	case "dynamic_score":
		return 1 << 4
	case "external_policy":
		return 1 << 5
	case "external_policy_http":
		return 1 << 6
	case "typescript_routing":
		return 1 << 7
	case "model_group_contracts":
		return 1 << 8
	case "retention_rollups":
		return 1 << 9
	case "content_capture":
		return 1 << 10
	case "private_upstreams":
		return 1 << 11
	case "audit_log_export":
		return 1 << 12
	case "pii_filtering":
		return 1 << 13
	case "usage_csv_export":
		return 1 << 14
	case "usage_baseline_export":
		return 1 << 15
	}
	return 0
}

func skinBit(name string) uint32 {
	switch name {
	case "openai-chat":
		return 1 << 0
	case "openai-responses":
		return 1 << 1
	case "anthropic-messages":
		return 1 << 2
	}
	return 1 << 31 // a skin that the format does not list: allowed where no list is
}

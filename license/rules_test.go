package license

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each case is signed, so that only the rule can refuse it; Canonical must refuse it with the same code.
func TestSignedPayloadsThatBreakARuleAreRefused(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		edit  func(*Payload)
		code  Code
		words string
	}{
		{"schema 0", func(p *Payload) { p.SchemaVersion = 0 }, CodeInvalid, "schema_version"},
		{"schema before product", func(p *Payload) { p.SchemaVersion = 2; p.Product = "x" }, CodeInvalid, "schema_version"},
		{"issuer before product", func(p *Payload) { p.Issuer = "x"; p.Product = "x" }, CodeInvalid, "issuer"},
		{"product before the rest", func(p *Payload) { p.Product = "x"; p.Features = nil; p.SKU = "" }, CodeProductMismatch, "another product"},
		{"product in another case", func(p *Payload) { p.Product = "GenAI-Smart-Router" }, CodeProductMismatch, "another product"},
		{"no customer", func(p *Payload) { p.CustomerID = "" }, CodeInvalid, "must not be empty"},
		{"no SKU", func(p *Payload) { p.SKU = "" }, CodeInvalid, "must not be empty"},
		{"not_before a second before issued_at", func(p *Payload) { p.NotBefore = p.IssuedAt.Add(-time.Second) }, CodeInvalid, "issued_at"},
		{"expires_at is not_before", func(p *Payload) { p.ExpiresAt = p.NotBefore }, CodeInvalid, "expires_at"},
		{"features unsorted", func(p *Payload) { p.Features = []string{"usage_reporting", "routing"} }, CodeInvalid, "sorted"},
		{"feature twice", func(p *Payload) { p.Features = []string{"routing", "routing"} }, CodeInvalid, "sorted"},
		{"feature unknown", func(p *Payload) { p.Features = []string{"gold", "routing"} }, CodeInvalid, "does not list"},
		{"feature in another case", func(p *Payload) { p.Features = []string{"Routing", "routing"} }, CodeInvalid, "does not list"},
		{"no features", func(p *Payload) { p.Features = []string{} }, CodeFeatureForbidden, "routing"},
		{"features without routing", func(p *Payload) { p.Features = []string{"dynamic_score"} }, CodeFeatureForbidden, "routing"},
		{"skin unknown", func(p *Payload) { p.Limits.AllowedSkins = []string{"openai-chat", "openai"} }, CodeInvalid, "allowed_skins"},
		{"window tokens without duration", func(p *Payload) { p.Limits.WindowTokens = 1 }, CodeInvalid, "need window_duration"},
		{"window requests without duration", func(p *Payload) { p.Limits.WindowRequests = 1 }, CodeInvalid, "need window_duration"},
		{"duration without window", func(p *Payload) { p.Limits.WindowDurationSeconds = 1 }, CodeInvalid, "window_duration_seconds needs"},
		{"binding version 2", func(p *Payload) { p.Deployment.BindingVersion = 2 }, CodeInvalid, "binding_version"},
		{"empty environment", func(p *Payload) { p.Deployment.AllowedEnvironments = []string{""} }, CodeInvalid, "allowed_environments"},
		{"empty instance", func(p *Payload) { p.Deployment.AllowedInstances = []string{""} }, CodeInvalid, "allowed_instances"},
		{"hash too short", func(p *Payload) { p.Deployment.AllowedInstanceFingerprints = []string{"sha256:abc"} }, CodeInvalid, "sha256"},
		{"hash in capitals", func(p *Payload) {
			p.Deployment.AllowedInstanceFingerprints = []string{strings.ToUpper(p.InstanceHash("a"))}
		}, CodeInvalid, "sha256"},
		{"hash with another letter", func(p *Payload) {
			p.Deployment.AllowedInstanceFingerprints = []string{p.InstanceHash("a")[:70] + "g"}
		}, CodeInvalid, "sha256"},
		{"more instances than allowed", func(p *Payload) { p.Deployment.AllowedInstances = []string{"a", "b"} }, CodeInstanceLimit, "lists 2 instances and allows 1"},
		{"more instances in both lists", func(p *Payload) {
			p.Deployment.AllowedInstanceFingerprints = []string{p.InstanceHash("a")}
		}, CodeInstanceLimit, "lists 2 instances and allows 1"},
	}
	ring := vectorRing(t)
	for _, c := range cases {
		p := vectorPayload(t)
		c.edit(&p)
		_, err := Read(signUnchecked(t, p), ring, vectorNow)
		if CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), c.words) {
			t.Errorf("%s: Read gives %v, want %s with %q", c.name, err, c.code, c.words)
		}
		if _, err := p.Canonical(); CodeOf(err) != c.code || err == nil {
			t.Errorf("%s: Canonical gives %v, want %s", c.name, err, c.code)
		}
		if _, err := Encode(p, make([]byte, ed25519.SignatureSize)); CodeOf(err) != c.code || err == nil {
			t.Errorf("%s: Encode gives %v, want %s", c.name, err, c.code)
		}
	}
}

func TestPayloadsThatNoFileCanHoldAreNotSigned(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*Payload){
		"fraction of a second":    func(p *Payload) { p.ExpiresAt = p.ExpiresAt.Add(time.Millisecond) },
		"another time zone":       func(p *Payload) { p.IssuedAt = p.IssuedAt.In(time.FixedZone("", 3600)) },
		"year 10000":              func(p *Payload) { p.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"year 0":                  func(p *Payload) { p.GraceUntil = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) },
		"invalid UTF-8":           func(p *Payload) { p.CustomerName = "a\xff" },
		"invalid UTF-8 in a list": func(p *Payload) { p.Deployment.AllowedEnvironments = []string{"\xff"} },
		"negative limit":          func(p *Payload) { p.Limits.MaxAdmins = -1 },
		"limit of 2^53":           func(p *Payload) { p.Limits.MaxTotalTokens = 1 << 53 },
		"negative offline count":  func(p *Payload) { p.Deployment.MaxOfflineInstances = -1 },
		"negative binding":        func(p *Payload) { p.Deployment.BindingVersion = -1 },
		"no key":                  func(p *Payload) { p.KeyID = "" }, // a file that names none finds none in the ring
	}
	for name, edit := range cases {
		p := vectorPayload(t)
		edit(&p)
		if _, err := p.Canonical(); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: %v, want license-invalid", name, err)
		}
	}
	p := vectorPayload(t)
	if _, err := Encode(p, make([]byte, 63)); err == nil {
		t.Error("a signature of 63 bytes is encoded")
	}
	p.Notes = strings.Repeat("n", MaxFileSize)
	if _, err := Encode(p, make([]byte, ed25519.SignatureSize)); err == nil {
		t.Error("a file over the largest size is encoded")
	}
}

// fullPayload sets every member, so that a member forgotten by the reader or the writer shows.
func fullPayload(tb testing.TB) Payload {
	p := vectorPayload(tb)
	p.CustomerName, p.Notes = "Müller & Söhne <K.G.>\u2028", "line\nbreak \b\f\x01 \"quoted\" 🔒"
	p.Features = []string{"admin_reports", "admin_security_reports", "audit_log_export", "content_capture", "dynamic_score",
		"external_policy", "external_policy_http", "model_group_contracts", "pii_filtering", "private_upstreams",
		"retention_rollups", "routing", "typescript_routing", "usage_baseline_export", "usage_csv_export", "usage_reporting"}
	p.GraceUntil = p.ExpiresAt.Add(72 * time.Hour)
	for i := range limitNames {
		*p.Limits.number(i) = int64(100 + i)
	}
	p.Limits.MaxTotalTokens = 1<<53 - 1
	p.Limits.AllowedSkins = []string{"openai-chat", "openai-responses", "anthropic-messages"}
	p.Deployment.InstanceFingerprint = "fp:x"
	p.Deployment.BindingVersion = 1
	p.Deployment.MaxOfflineInstances = 7
	p.Deployment.AllowedInstanceFingerprints = []string{p.InstanceHash("fp:y")}
	return p
}

func TestEveryMemberSurvivesWritingAndReading(t *testing.T) {
	t.Parallel()
	p := fullPayload(t)
	for i := range reflect.TypeFor[Payload]().NumField() {
		if reflect.ValueOf(p).Field(i).IsZero() {
			t.Errorf("%s is not set by the test", reflect.TypeFor[Payload]().Field(i).Name)
		}
	}
	canonical, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	file, err := Encode(p, ed25519.Sign(vectorSigner(t), canonical))
	if err != nil {
		t.Fatal(err)
	}
	l, err := Read(file, vectorRing(t), vectorNow)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Payload(); !reflect.DeepEqual(got, p) {
		t.Errorf("read back as\n%+v\nwant\n%+v", got, p)
	}
	if string(l.Bytes()) != string(file) {
		t.Error("Bytes is not the file")
	}
	copied := l.Payload()
	copied.Features[0], copied.Limits.AllowedSkins[0], copied.Deployment.AllowedInstances[0] = "x", "x", "x"
	copied.Deployment.AllowedEnvironments[0], copied.Deployment.AllowedInstanceFingerprints[0] = "x", "x"
	if got := l.Payload(); !reflect.DeepEqual(got, p) {
		t.Error("a caller can change a license through its payload")
	}
}

func TestLimitsAreShownAsTheyAreSigned(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]Limits{
		`{}`: {},
		`{"allowed_skins":["openai-chat"],"max_callers":3,"window_tokens":7}`: {WindowTokens: 7, MaxCallers: 3, AllowedSkins: []string{"openai-chat"}},
	} {
		if got, err := json.Marshal(l); err != nil || string(got) != want {
			t.Errorf("%s %v, want %s", got, err, want)
		}
	}
}

func TestDatesAreCheckedToTheSecond(t *testing.T) {
	t.Parallel()
	p := vectorPayload(t)
	l, err := Read(signUnchecked(t, p), vectorRing(t), vectorNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now  time.Time
		want Code
	}{
		{p.NotBefore.Add(-time.Nanosecond), CodeNotYetValid},
		{p.NotBefore, CodeValid},
		{p.ExpiresAt.Add(-time.Nanosecond), CodeValid},
		{p.ExpiresAt, CodeExpired},
		{p.ExpiresAt.Add(time.Second).In(time.FixedZone("", 7200)), CodeExpired},
	} {
		if err := l.Check(c.now, vectorFingerprint); CodeOf(err) != c.want {
			t.Errorf("at %v: %v, want %s", c.now, err, c.want)
		}
	}
}

func TestLicensesAreBoundToInstances(t *testing.T) {
	t.Parallel()
	hash := func(p *Payload, fp string) []string { return []string{p.InstanceHash(fp)} }
	cases := []struct {
		name    string
		edit    func(*Payload, *Deployment)
		allowed []string
		refused []string
	}{
		{"bound to nothing", func(*Payload, *Deployment) {}, []string{"", "a"}, nil},
		{"required, none listed", func(_ *Payload, d *Deployment) { d.InstanceFingerprintRequired = true }, []string{"a", "b"}, []string{""}},
		{"one raw", func(_ *Payload, d *Deployment) { d.InstanceFingerprint = "a" }, []string{"a"}, []string{"", "b", "A"}},
		{"raw list", func(_ *Payload, d *Deployment) {
			d.InstanceFingerprintRequired = true
			d.AllowedInstances = []string{"a", "b"}
		}, []string{"a", "b"}, []string{"", "c", "ab"}},
		{"hashed list", func(p *Payload, d *Deployment) { d.AllowedInstanceFingerprints = hash(p, "a") }, []string{"a"}, []string{"", "b"}},
		{"hash given as a fingerprint", func(p *Payload, d *Deployment) { d.AllowedInstanceFingerprints = hash(p, "a") },
			nil, []string{vectorHashOf("a")}},
		{"hash with the deployment's ID", func(p *Payload, d *Deployment) {
			d.DeploymentID = "dep_1"
			d.AllowedInstanceFingerprints = hash(p, "a")
		}, []string{"a"}, []string{"b"}},
		{"hash for another deployment", func(p *Payload, d *Deployment) {
			d.AllowedInstanceFingerprints = hash(p, "a")
			d.DeploymentID = "dep_1"
		}, nil, []string{"a"}},
		{"raw and hashed", func(p *Payload, d *Deployment) {
			d.AllowedInstances = []string{"a"}
			d.AllowedInstanceFingerprints = hash(p, "b")
		}, []string{"a", "b"}, []string{"", "c"}},
	}
	for _, c := range cases {
		p := vectorPayload(t)
		p.Limits.MaxInstances = 2
		p.Deployment = Deployment{Mode: "self_hosted"}
		c.edit(&p, &p.Deployment)
		l, err := Read(signUnchecked(t, p), vectorRing(t), vectorNow)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, fingerprint := range c.allowed {
			if err := l.Check(vectorNow, fingerprint); err != nil {
				t.Errorf("%s: %q: %v", c.name, fingerprint, err)
			}
		}
		for _, fingerprint := range c.refused {
			if err := l.Check(vectorNow, fingerprint); CodeOf(err) != CodeInstanceLimit {
				t.Errorf("%s: %q: %v, want license-instance-limit-exceeded", c.name, fingerprint, err)
			}
		}
	}
}

func vectorHashOf(fingerprint string) string {
	p := Payload{Product: Product, CustomerID: "cust_7QK2M9", LicenseID: "lic_credit_pack_5m_20261101_0a1b2c3d4e5f6071",
		Deployment: Deployment{Mode: "self_hosted"}}
	return p.InstanceHash(fingerprint)
}

// The expected value was made with: printf 'genai-smart-router\0c\0l\0d\0f' | sha256sum
func TestInstanceHashJoinsItsPartsByNUL(t *testing.T) {
	t.Parallel()
	p := Payload{Product: Product, CustomerID: "c", LicenseID: "l", Deployment: Deployment{Mode: "m", DeploymentID: "d"}}
	if got, want := p.InstanceHash("f"), "sha256:ca9f770645454753d38569bfca072c4e694f3ee5c7cd3976a15dc231f055a889"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p.Deployment.DeploymentID = ""
	if got, want := p.InstanceHash("f"), "sha256:46b91d626e6533cae04c25ba60f2a0727c768c24be4f47a8bdd5d9733360b34b"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestFeaturesAreAllowedByNameOrByStar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, feature string
		want          bool
	}{
		{"accept-credit-pack.json", "routing", true},
		{"accept-credit-pack.json", "dynamic_score", false},
		{"accept-credit-pack.json", "*", false},
		{"accept-wildcard-feature.json", "dynamic_score", true},
		{"accept-wildcard-feature.json", "routing", true},
	} {
		l, err := Read(readVector(t, c.file), vectorRing(t), vectorNow)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Allows(c.feature); got != c.want {
			t.Errorf("%s allows %s: %v", c.file, c.feature, got)
		}
	}
}

func TestCodesHaveTheirHTTPStatus(t *testing.T) {
	t.Parallel()
	byStatus := map[int]string{
		http.StatusOK: "valid grace",
		http.StatusForbidden: "expired feature-forbidden limit-exceeded skin-forbidden admin-limit-exceeded " +
			"retention-limit-exceeded revoked suspended superseded",
		http.StatusTooManyRequests: "volume-exceeded window-exceeded concurrency-exceeded",
		http.StatusServiceUnavailable: "missing invalid not-yet-valid product-mismatch instance-limit-exceeded " +
			"clock-rollback revocation-required revocation-check-failed state-error never-heard-of",
	}
	all := []Code{CodeValid, CodeGrace, CodeExpired, CodeFeatureForbidden, CodeLimitExceeded, CodeSkinForbidden, CodeAdminLimit,
		CodeRetentionLimit, CodeRevoked, CodeSuspended, CodeSuperseded, CodeVolumeExceeded, CodeWindowExceeded, CodeConcurrency,
		CodeMissing, CodeInvalid, CodeNotYetValid, CodeProductMismatch, CodeInstanceLimit, CodeClockRollback,
		CodeRevocationMissing, CodeRevocationFailed, CodeStateError, "license-never-heard-of"}
	for status, names := range byStatus {
		for _, name := range strings.Fields(names) {
			code := Code("license-" + name)
			if code.HTTPStatus() != status {
				t.Errorf("%s is %d, want %d", code, code.HTTPStatus(), status)
			}
			if i := slices.Index(all, code); i < 0 {
				t.Errorf("no constant for %s", code)
			} else {
				all = slices.Delete(all, i, i+1)
			}
		}
	}
	if len(all) > 0 {
		t.Errorf("constants that the format does not list: %v", all)
	}
}

func TestErrorsHaveTheirCode(t *testing.T) {
	t.Parallel()
	if got := CodeOf(nil); got != CodeValid {
		t.Errorf("nil is %s", got)
	}
	if got := CodeOf(fmt.Errorf("loading: %w", refuse(CodeExpired, "r"))); got != CodeExpired {
		t.Errorf("a wrapped error is %s", got)
	}
	if got := CodeOf(fmt.Errorf("other")); got != CodeInvalid {
		t.Errorf("another error is %s", got)
	}
}

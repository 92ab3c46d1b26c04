package boundaries

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layout is what the rules are about. A package that went missing would leave
// its rule without a subject, so it must exist.
var layout = []string{
	"cmd/portal", "cmd/signer", "cmd/witness", "cmd/licensectl", "cmd/demo", "license", "license/enforce", "examples/router",
	"internal/approval", "internal/approval/software", "internal/catalog", "internal/trust", "internal/fulfillment", "internal/signer", "internal/signer/server",
	"internal/signer/keys", "internal/signer/evidence", "internal/witness", "internal/billing", "internal/stripesim",
	"internal/account", "internal/postgres", "internal/postgres/pgtest", "internal/localpg", "internal/jobs", "internal/mail", "internal/config",
	"migrations", "web",
}

func TestThePackagesThatTheRulesNameExist(t *testing.T) {
	t.Parallel()
	tr := load(t, nil)
	for _, path := range layout {
		if p := tr.packages[module+"/"+path]; p == nil || len(p.GoFiles) == 0 {
			t.Errorf("%s has no Go files: a rule about it would hold for nothing", path)
		}
	}
}

func TestImportRulesHold(t *testing.T) {
	t.Parallel()
	tr := load(t, nil)
	for _, p := range tr.packages {
		if ours(p.ImportPath) && p.Error != nil {
			t.Fatalf("%s cannot be listed: %s", p.ImportPath, p.Error.Err)
		}
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, finding := range findings(t, tr, r) {
				t.Error(finding)
			}
		})
	}
}

// TestImportRulesCatchAPlantedViolation shows that each rule is able to fail:
// it must report something that the tree without the planted file does not have.
func TestImportRulesCatchAPlantedViolation(t *testing.T) {
	t.Parallel()
	clean := load(t, nil)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			overlay := map[string]string{r.plantPath: r.plant}
			anchor(t, r, overlay)
			before := findings(t, clean, r)
			if slices.Equal(findings(t, load(t, overlay), r), before) {
				t.Errorf("the rule does not see %s: %s", r.plantPath, r.plant)
			}
		})
	}
}

// anchor makes the planted package part of the binary that the rule is about,
// as it is in the finished tree, also while that binary does not import it yet.
func anchor(t *testing.T, r rule, overlay map[string]string) {
	t.Helper()
	planted := filepath.Dir(r.plantPath)
	for _, of := range r.of {
		of = strings.TrimSuffix(of, "/...")
		if strings.HasPrefix(of, "cmd/") {
			overlay[of+"/planted_anchor.go"] = `package main; import _ "` + module + "/" + planted + `"`
		}
	}
}

// findings are the rule's violations, each with its package.
func findings(t *testing.T, tr *tree, r rule) []string {
	t.Helper()
	var all []string
	for _, p := range bound(tr, r) {
		for _, finding := range r.check(t, tr, p) {
			all = append(all, short(p.ImportPath)+" "+finding)
		}
	}
	slices.Sort(all)
	return all
}

// bound returns the packages of ours that the rule binds.
func bound(tr *tree, r rule) []*listed {
	paths := make(map[string]bool)
	for path, p := range tr.packages {
		if !ours(path) || (r.of != nil && !matches(path, r.of)) {
			continue
		}
		paths[path] = true
		if r.linked {
			for _, dep := range p.Deps {
				paths[dep] = ours(dep)
			}
		}
	}
	var packages []*listed
	for path, in := range paths {
		if p := tr.packages[path]; in && p != nil && !matches(path, r.except) {
			packages = append(packages, p)
		}
	}
	return packages
}

func TestSQLIsToldFromProse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"SELECT id FROM orders WHERE id = $1":    true,
		"\n\tselect id\n\tfrom orders ":          true,
		"WITH x AS (DELETE FROM jobs ) ":         true,
		"INSERT INTO orders VALUES ($1)":         true,
		"UPDATE orders SET state = 'paid'":       true,
		"Select a package from the list below":   false,
		"To update your card, set it in Stripe.": false,
		"delete it from the folder":              false,
	} {
		if got := sql.MatchString(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestTheNestedModuleNeedsNothing keeps go.mod of license free of requirements.
func TestTheNestedModuleNeedsNothing(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../license/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "require") {
		t.Error("license/go.mod requires a module: a router's build would gain a dependency")
	}
}

package boundaries

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rule is one sentence of DESIGN.md, "Who may import whom".
type rule struct {
	name string
	// of names the packages that the rule binds; nil is every package of ours.
	of []string
	// except names packages among them that it does not bind.
	except []string
	// linked widens of to all packages of ours that its packages link.
	linked bool
	// check returns what the package does that it must not.
	check func(t *testing.T, tr *tree, p *listed) []string
	// plant is a file that breaks the rule, by its path.
	plantPath, plant string
}

const (
	pgx    = "github.com/jackc/pgx/v5/..."
	stripe = "github.com/stripe/stripe-go/..."
	chi    = "github.com/go-chi/chi/..."
	templ  = "github.com/a-h/templ/..."
	river  = "github.com/riverqueue/..."
	// webauthn gives the portal a second opinion; the signer has its own.
	webauthn = "github.com/go-webauthn/..."
)

// portal is what the signer must not link: all that belongs to the portal, the
// demo and the tests.
var portal = []string{
	"cmd/portal/...", "cmd/demo/...", "internal/postgres/...", "internal/localpg", "internal/billing/...",
	"internal/stripesim/...", "internal/account/...", "internal/jobs/...", "internal/mail/...",
	"internal/fulfillment/...", "internal/passkey", "internal/token", "web/...", "migrations",
}

// engines are what pages and pure packages must not know.
var engines = []string{pgx, "database/sql", stripe, river, "github.com/golang-migrate/...",
	"internal/postgres/...", "internal/billing/...", "internal/jobs/...", "internal/localpg", "internal/stripesim/..."}

var rules = []rule{{
	name:      "license knows only the standard library, also in its tests",
	of:        []string{"license/..."},
	check:     importsOnly([]string{"license/..."}),
	plantPath: "license/planted.go",
	plant:     `package license; import _ "golang.org/x/crypto/ssh"`,
}, {
	name:      "the signer links nothing of the portal",
	of:        []string{"cmd/signer/..."},
	check:     linksNone(slices.Concat(portal, []string{pgx, stripe, chi, templ, river, webauthn})),
	plantPath: "internal/signer/server/planted.go",
	plant:     `package server; import _ "github.com/metrum-ai/licensing-portal/internal/fulfillment"`,
}, {
	name:      "the signer verifies passkeys with the standard library",
	of:        []string{"cmd/signer/..."},
	check:     linksNone([]string{webauthn}),
	plantPath: "internal/approval/planted.go",
	plant:     `package approval; import _ "github.com/go-webauthn/webauthn/protocol"`,
}, {
	name:      "an approver in a file is for the demo and the command line alone",
	except:    []string{"cmd/demo/...", "cmd/portal"},
	check:     importsNone([]string{"internal/approval/software"}),
	plantPath: "internal/signer/server/planted.go",
	plant:     `package server; import _ "github.com/metrum-ai/licensing-portal/internal/approval/software"`,
}, {
	name: "the witness links nothing of the portal, and no key or verb of the signer",
	of:   []string{"cmd/witness/..."},
	check: linksNone(slices.Concat(portal, []string{"cmd/signer/...", "internal/signer/server/...", "internal/signer/keys/...",
		"internal/signer/evidence/...", "internal/signer/log/...", pgx, stripe, chi, templ, river})),
	plantPath: "internal/witness/planted.go",
	plant:     `package witness; import _ "github.com/metrum-ai/licensing-portal/internal/signer/keys"`,
}, {
	name:      "the witness names no Ed25519 private key",
	of:        []string{"cmd/witness/...", "internal/witness"},
	check:     namesNone("crypto/ed25519", "PrivateKey", "NewKeyFromSeed", "GenerateKey", "Sign"),
	plantPath: "internal/witness/planted.go",
	plant:     `package witness; import "crypto/ed25519"; var Planted ed25519.PrivateKey`,
}, {
	name: "the portal links no signing key and no stand-in",
	of:   []string{"cmd/portal/..."},
	check: linksNone([]string{"internal/signer/server/...", "internal/signer/keys/...", "internal/stripesim/...",
		"cmd/demo/...", "cmd/signer/...", "internal/localpg", "internal/postgres/pgtest/...", "examples/..."}),
	plantPath: "web/planted.go",
	plant:     `package web; import _ "github.com/metrum-ai/licensing-portal/internal/stripesim"`,
}, {
	name:      "nothing that the portal links names an Ed25519 private key",
	of:        []string{"cmd/portal/..."},
	linked:    true,
	check:     namesNone("crypto/ed25519", "PrivateKey", "NewKeyFromSeed", "GenerateKey", "Sign"),
	plantPath: "internal/catalog/planted.go",
	plant:     `package catalog; import sig "crypto/ed25519"; var Planted sig.PrivateKey`,
}, {
	name:      "stripe-go in internal/billing alone",
	except:    []string{"internal/billing/..."},
	check:     importsNone([]string{stripe}),
	plantPath: "internal/jobs/planted.go",
	plant:     `package jobs; import _ "github.com/stripe/stripe-go/v76"`,
}, {
	name:      "go-webauthn in internal/passkey alone",
	except:    []string{"internal/passkey"},
	check:     importsNone([]string{webauthn}),
	plantPath: "internal/approval/planted.go",
	plant:     `package approval; import _ "github.com/go-webauthn/webauthn/protocol"`,
}, {
	name:      "Postgres in internal/postgres, with the job queue on its pool and the wiring",
	except:    []string{"internal/postgres/...", "internal/localpg", "internal/jobs", "cmd/portal", "migrations", "bench/..."},
	check:     importsNone([]string{pgx, "database/sql", "github.com/golang-migrate/..."}),
	plantPath: "internal/account/planted.go",
	plant:     `package account; import _ "github.com/jackc/pgx/v5"`,
}, {
	name:      "SQL in internal/postgres alone",
	except:    []string{"internal/postgres/...", "internal/localpg", "migrations", "bench/..."},
	check:     writesNoSQL,
	plantPath: "internal/jobs/planted.go",
	plant:     "package jobs; const Planted = `SELECT id\nFROM orders`",
}, {
	name:      "web knows neither Postgres nor Stripe nor River",
	of:        []string{"web/..."},
	check:     linksNone(engines),
	plantPath: "web/planted.go",
	plant:     `package web; import _ "github.com/metrum-ai/licensing-portal/internal/postgres"`,
}, {
	name:      "catalog and fulfillment know neither Postgres nor Stripe nor River nor pages",
	of:        []string{"internal/catalog/...", "internal/fulfillment/..."},
	check:     linksNone(append([]string{"web/...", templ, chi}, engines...)),
	plantPath: "internal/fulfillment/planted.go",
	plant:     `package fulfillment; import _ "github.com/riverqueue/river"`,
}, {
	name:      "production code does not import testing",
	except:    []string{"internal/postgres/pgtest"},
	check:     importsNone([]string{"testing/...", "internal/postgres/pgtest"}),
	plantPath: "internal/mail/planted.go",
	plant:     `package mail; import _ "testing"`,
}, {
	name:      "the Stripe stand-in is for the demo and tests alone",
	except:    []string{"internal/stripesim/...", "cmd/demo/..."},
	check:     importsNone([]string{"internal/stripesim/..."}),
	plantPath: "internal/billing/planted.go",
	plant:     `package billing; import _ "github.com/metrum-ai/licensing-portal/internal/stripesim"`,
}}

// importsOnly allows the standard library and the patterns, tests included.
func importsOnly(allowed []string) func(*testing.T, *tree, *listed) []string {
	return func(_ *testing.T, tr *tree, p *listed) []string {
		var bad []string
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") && !matches(path, allowed) {
				bad = append(bad, "imports "+path)
			}
		}
		return bad
	}
}

// importsNone forbids direct imports of production code.
func importsNone(denied []string) func(*testing.T, *tree, *listed) []string {
	return func(_ *testing.T, _ *tree, p *listed) []string {
		return found("imports ", p.Imports, denied)
	}
}

// linksNone forbids whatever the package depends on, directly or not.
func linksNone(denied []string) func(*testing.T, *tree, *listed) []string {
	return func(_ *testing.T, _ *tree, p *listed) []string {
		return found("links ", p.Deps, denied)
	}
}

func found(verb string, paths, denied []string) []string {
	var bad []string
	for _, path := range paths {
		if matches(path, denied) {
			bad = append(bad, verb+path)
		}
	}
	return bad
}

// namesNone forbids names of a package, under whatever name it is imported.
func namesNone(path string, denied ...string) func(*testing.T, *tree, *listed) []string {
	return func(t *testing.T, tr *tree, p *listed) []string {
		var bad []string
		for _, f := range tr.parse(t, p) {
			local := localName(f, path)
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok || local == "" {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && slices.Contains(denied, sel.Sel.Name) {
					bad = append(bad, "names "+path+"."+sel.Sel.Name)
				}
				return true
			})
			if local == "." {
				bad = append(bad, "imports all names of "+path)
			}
		}
		return bad
	}
}

// localName is what the file calls the package, empty when it does not import it.
func localName(f *ast.File, path string) string {
	for _, spec := range f.Imports {
		if value, err := strconv.Unquote(spec.Path.Value); err != nil || value != path {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}

// sql finds a statement, in capitals anywhere or in small letters at the start.
var sql = regexp.MustCompile(`(?s)\bSELECT\s.+\sFROM\s|\bINSERT\s+INTO\s|\bUPDATE\s+\S+\s+SET\s|\bDELETE\s+FROM\s` +
	`|^\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s)`)

func writesNoSQL(t *testing.T, tr *tree, p *listed) []string {
	var bad []string
	for _, f := range tr.parse(t, p) {
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && sql.MatchString(text) {
				bad = append(bad, fmt.Sprintf("holds SQL: %.60q", text))
			}
			return true
		})
	}
	return bad
}

# `make help` says what there is.

MODULES := ./... github.com/metrum-ai/licensing-portal/license/...
COMMANDS := ./cmd/portal ./cmd/signer ./cmd/witness ./cmd/licensectl ./cmd/demo ./examples/router

export DEMO_DIR ?= .demo
export DEMO_PORT ?= 8080

.PHONY: help demo test build generate fmt lint unit e2e cover branches fuzz bench microbench remove-demo clean
.DEFAULT_GOAL := help

help: ## this list
	@echo "The licensing portal. Two commands do everything a newcomer needs:"
	@echo
	@echo "  make demo       build, start everything, print what to open (Ctrl-C stops it)"
	@echo "  make test       every check there is"
	@echo
	@echo "Both install what is missing (PostgreSQL; for the tests Chromium) when they may."
	@echo "DEMO_DIR (now $(DEMO_DIR)) and DEMO_PORT (now $(DEMO_PORT), and the three after it) say"
	@echo "where the demo lives. All targets:"
	@echo
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'

demo: ## build and start the demo; a second start goes on where the first stopped
	@scripts/setup
	@$(MAKE) --no-print-directory build
	@exec bin/demo

test: ## formatting, generated files, vet, staticcheck, all tests, the browser
	@scripts/setup test
	@scripts/test

# Static binaries that run on any Linux. Go's own cache knows what is up to date.
build: ## the commands, into bin/
	@mkdir -p bin
	@CGO_ENABLED=0 go build -trimpath -o bin/ $(COMMANDS)

generate: ## the pages' Go code from web/**/*.templ
	go tool templ generate -path web

fmt: ## format Go code and pages
	gofmt -w $$(git ls-files -co --exclude-standard -- '*.go' | grep -v '_templ\.go$$')
	go tool templ fmt web

lint: ## go vet and staticcheck
	go vet $(MODULES)
	go tool staticcheck $(MODULES)

unit: ## the tests without the browser
	@scripts/setup
	scripts/with-postgres go test $$(go list $(MODULES) | grep -v '/licensing-portal/e2e')

e2e: build ## the tests in the browser
	@scripts/setup test
	go test -count=1 -timeout 15m ./e2e/...

cover: ## test coverage over both modules, into coverage.out
	@scripts/setup
	scripts/with-postgres go test -coverprofile=coverage.out -coverpkg=github.com/metrum-ai/licensing-portal/... \
		$$(go list $(MODULES) | grep -v '/licensing-portal/e2e')
	go tool cover -func=coverage.out | tail -n 1

branches: ## branch coverage of license/ against the list in license/COVERAGE.md
	go run ./scripts/branchcover -dir license -known license/COVERAGE.md . ./internal/regular ./enforce

fuzz: ## look for new inputs in every fuzz target, FUZZTIME (default 20s) each
	@scripts/fuzz

bench: ## speed against its limits in the same run, as ratios; BENCH='-quick -run signer' for a part
	@scripts/setup
	go run ./bench $(BENCH)

microbench: ## Go benchmarks, with allocations
	@scripts/setup
	scripts/with-postgres go test -run '^$$' -bench . -benchmem $$(go list $(MODULES) | grep -v '/licensing-portal/e2e')

remove-demo: build ## delete the demo in DEMO_DIR with its orders, licenses and keys
	@bin/demo -remove

clean: ## remove what was built; a demo's data stays
	rm -rf bin .build coverage.out

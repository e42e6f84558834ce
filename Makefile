# Needs Go and make, nothing else. Everything that Go has to fetch is pinned in go.mod and below tools/.

GO      ?= go
BIN     := bin/tokenwire
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# The race detector needs cgo, and so a C compiler.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race,)

# Looks for PostgreSQL as package postgrestest does.
INITDB := 'initdb /usr/lib/postgresql/*/bin/initdb'

# How long the long tests are.
CRASH_CYCLES    ?= 200
FUZZ_REQUESTS   ?= 1000000
FAILOVER_CYCLES ?= 5

# Every target is a name, and no file.
.PHONY: $(shell awk -F: '/^[a-z-]+:/ { print $$1 }' $(MAKEFILE_LIST))

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build and start the server with an SQLite database in this folder
	$(BIN) serve

build: ## Build the static binary bin/tokenwire
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./server/cmd/tokenwire

test: ## Run all tests, with the race detector where there is a C compiler
	@$(GO) test $(RACE) -timeout 30m ./...; status=$$?; \
		tools/install.sh $(INITDB) || echo 'LEFT OUT: everything over PostgreSQL, because it is not installed. make test-postgres runs it.'; exit $$status

test-postgres: ## Run the tests that need PostgreSQL, on servers of their own (installs it when run as root on Debian)
	@tools/install.sh $(INITDB) postgresql
	TOKENWIRE_TEST_POSTGRES=required $(GO) test $(RACE) -timeout 30m -count=1 ./server/store/postgres/...
	TOKENWIRE_TEST_POSTGRES=required $(GO) test $(RACE) -timeout 30m -count=1 -run '^TestPostgres' ./client/... ./server/...
	@tag=$$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null) && git cat-file -e "$$tag:server/store/postgres/postgres.go" 2>/dev/null || \
		echo 'The rolling upgrade was tested from this version to itself with one more migration: no tag knows PostgreSQL yet.'

test-failover: ## Kill the primary of PostgreSQL FAILOVER_CYCLES times under load, 5 by default, and promote its standby
	@tools/install.sh $(INITDB) postgresql
	TOKENWIRE_TEST_POSTGRES=required FAILOVER_CYCLES=$(FAILOVER_CYCLES) \
		$(GO) test -count=1 -v -timeout 60m -run 'TestPostgresReplicas/^(failover|revocation)' ./server/crashtest/

test-crash: ## Kill the server 200 times under load, or CRASH_CYCLES times, and check that nothing is lost
	CRASH_CYCLES=$(CRASH_CYCLES) $(GO) test -count=1 -v -timeout 60m -run 'TestKill/(under_load|first_start)' ./server/crashtest/

test-fuzz: ## Send FUZZ_REQUESTS requests that are drawn from the contract, a million by default, to servers of all kinds
	FUZZ_REQUESTS=$(FUZZ_REQUESTS) $(GO) test -count=1 -v -timeout 2h -run TestFuzz ./server/fuzztest/

test-sdk: ## Run the vendor's npm client against a real server (needs Node.js)
	cd server/sdktest && npm ci --silent
	$(GO) test -count=1 -tags sdk ./server/sdktest/

test-docs: ## Open the page of the API in Chromium, and make a call through it (installs Chromium when run as root on Debian)
	@tools/install.sh 'chromium chromium-browser google-chrome' chromium
	$(GO) test -count=1 -tags browser ./server/docstest/

test-gateway: ## Guard a service with nginx and Caddy as the README does, and attack it (installs them when run as root on Debian)
	@tools/install.sh nginx nginx
	@tools/install.sh caddy caddy || echo 'LEFT OUT: Caddy'
	$(GO) test -count=1 -tags gateway -v ./server/gatewaytest/

test-metrics: ## Check the dashboard and the alert rules with promtool and a real Prometheus (installs it when run as root on Debian)
	@tools/install.sh promtool prometheus
	$(GO) test -count=1 -tags prometheus ./server/metricstest/

screenshot: ## Take the screenshot in the README anew
	SCREENSHOTS=$(CURDIR)/docs/images $(GO) test -count=1 -tags browser -run TestTryItOut ./server/docstest/

generate: ## Generate gen/ from openapi.yaml
	$(GO) generate ./gen

verify: generate ## Fail when gen/ is not what openapi.yaml generates, or a module was tampered with
	@git diff HEAD --exit-code --stat -- gen || { echo 'gen/ differs from openapi.yaml: commit what `make generate` has written'; exit 1; }
	@test -z "$$(git ls-files --others --exclude-standard -- gen)" || { echo 'gen/ has files that are not committed'; exit 1; }
	$(GO) mod verify

lint-spec: ## Review openapi.yaml with Spectral, the OWASP rules and Redocly (needs Node.js)
	cd tools/spec && npm ci --silent
	cd tools/spec && npx spectral lint ../../openapi.yaml --fail-severity=hint
	cd tools/spec && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx redocly lint ../../openapi.yaml --extends recommended-strict

breaking: ## Show what has changed in openapi.yaml since BASE=REV, and fail when it breaks clients
	@tools/breaking/breaking.sh $(BASE)

test-breaking: ## Show that make breaking can fail
	cd tools/breaking && $(GO) test ./...

test-disk: ## Serve from disks that are full, read-only or fail, and from files that are removed, cut, replaced or locked
	$(GO) test -count=1 -v -run '^Test(FailingDisk|UnreadableDisk|LockedDatabase|RemovedDatabase|ReplacedLog)$$' ./server/
	$(GO) test -count=1 -v ./server/store/sqlite/...

test-overload: ## Attack the built server by HTTP/1.1 and HTTP/2, and check that a client that behaves is served and what memory it takes (Linux)
	$(GO) test -count=1 -v -timeout 10m -run TestOverload ./server/cmd/tokenwire/

bench: build ## Measure tokenwire beside bare Echo, the stock stack, raw SQLite, Prism (with Node.js) and pgbench (with PostgreSQL), and write server/bench/RESULTS.md, or with BENCH_QUICK=1 bin/bench-results
	cd server/bench && CGO_ENABLED=0 $(GO) build -trimpath -o ../../bin/bench .
	bin/bench

test-bench: ## Check the program behind make bench
	cd server/bench && $(GO) test ./...

# What is not a tag is a version before the first, with the commit in it.
PACKAGE_ARCH    := $(shell $(GO) env GOARCH)
PACKAGE_VERSION := $(patsubst v%,%,$(shell git describe --tags --exact-match 2>/dev/null || echo 0.0.0-$(shell git log -1 --format=%cd --date=format:%Y%m%d%H%M%S).g$(shell git rev-parse --short HEAD)))

package: build ## Build a Debian package in dist/
	@mkdir -p dist/stage
	gzip -9 -n -c packaging/tokenwire.1 >dist/stage/tokenwire.1.gz
	printf 'tokenwire (%s) unstable; urgency=medium\n\n  * See %s\n\n -- tokenwire <maintainers@tokenwire.example>  %s\n' \
		'$(subst -,~,$(PACKAGE_VERSION))' https://github.com/tokenwire/tokenwire "$$(git log -1 --format=%cD)" | gzip -9 -n -c >dist/stage/changelog.gz
	rm -f dist/*.deb
	ARCH=$(PACKAGE_ARCH) VERSION=$(PACKAGE_VERSION) BINARY=$(BIN) STAGE=dist/stage \
		$(GO) tool -modfile=tools/package/go.mod nfpm package --config packaging/nfpm.yaml --packager deb --target dist/

container: build ## Lay out in dist/container what a container image is built of
	rm -rf dist/container
	mkdir -p dist/container/data
	cp $(BIN) dist/container/tokenwire
	cp packaging/Containerfile dist/container/

test-package: package container ## Install, start, remove and purge the package; build and start the image (as root on Debian; installs lintian, buildah and systemd-container)
	@tools/install.sh lintian lintian --no-install-recommends
	@tools/install.sh buildah buildah --no-install-recommends
	@tools/install.sh systemd-nspawn systemd-container --no-install-recommends
	$(GO) test -count=1 -v -tags package ./packaging/

lint: ## Run go vet and golangci-lint, and check the formatting, also of the program behind make bench
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod golangci-lint run ./...
	cd server/bench && $(GO) vet ./...
	cd server/bench && $(GO) tool -modfile=../../tools/go.mod golangci-lint run -c ../../.golangci.yml ./...

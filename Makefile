# The menu. Plain `make` lists it; .ci/run runs these targets and no others.

# Where tools built for this checkout live. Nothing is installed outside of it.
TOOLS := $(CURDIR)/.cache/bin

# One version for everybody: a newer linter finds new things, so it is raised in a commit of its own.
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)

# Costly self-checks, ours and those of the store below, are compiled in by this tag.
TAGS := invariants

# In CI every test is named, so that they can be counted, and packages run one after another: several of them run
# a real broker, and three brokers on two cores test patience. At a desk one line a package is enough.
TESTFLAGS ?= $(if $(CI),-v -count 1 -p 1)

# PKG, RUN and FUZZTIME narrow a target down: make test PKG=./rules RUN=TestDecay
PKG ?= ./...
RUN ?= .
FUZZTIME ?= 30s
BENCHTIME ?= 1s
# FAULTS and MINUTES are make campaign's. SEED is the campaign's and fuzz's; 0 takes one from the clock.
FAULTS ?= 500
MINUTES ?= 120
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build demo test race lint vet fmt fuzz mutants campaign bench bench-quick bench-takeover bench-micro golden generate tree-clean ci clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

build: ## build bin/leadstream
	go build -o bin/leadstream ./cmd/leadstream

demo: build ## run the engine on a shipped sample with a built-in broker; Ctrl-C ends it
	./bin/leadstream demo

test: broker-tools ## run every test, those against a real Kafka broker included
	go test -tags $(TAGS) -timeout 20m -run '$(RUN)' $(TESTFLAGS) $(PKG)
	$(if $(filter ./...,$(PKG)),go test -timeout 20m -run '$(RUN)' $(TESTFLAGS) ./bench/micro)

race: ## run the tests under the race detector, the long ones shortened
	$(if $(CI),go test -race -tags $(TAGS) -run '^$$' $(PKG) >/dev/null # compiled side by side: -p 1 is for what runs)
	go test -race -short -tags $(TAGS) -timeout 20m -run '$(RUN)' $(TESTFLAGS) $(PKG)

vet: ## go vet, with and without the self-checks compiled in
	go vet ./...
	go vet -tags $(TAGS) ./...

lint: $(GOLANGCI) ## check style, import arrows and house rules (.golangci.yml)
	$(GOLANGCI) run

fmt: ## format the code
	gofmt -w $$(go list -f '{{.Dir}}' ./...)

# SEED is the first of the rule sets that the model test draws; CI draws those from 0 on.
CASES ?= 1000000

fuzz: ## the rules against their model, CASES times (default a million, an hour); every fuzz target for FUZZTIME
	go test -tags $(TAGS) -count 1 -timeout 0 -run 'AgainstModel' ./rules -args -cases $(CASES) -seed $(if $(filter 0,$(SEED)),$$(date +%s)000,$(SEED))
	@set -e; for p in $$(go list ./...); do \
	  for f in $$(go test -tags $(TAGS) -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; go test -tags $(TAGS) -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
	  done; \
	done

mutants: ## break the engine in every way of bench/mutants/mutants.txt; a test must notice each (RUN narrows down)
	go run ./bench/mutants -run '$(RUN)'

campaign: broker-tools ## FAULTS (default 500) against a real broker within MINUTES (default 120); writes bench/results
	go test ./cmd/leadstream -run '^TestCampaign$$' -v -count 1 -timeout 0 -args -faults $(FAULTS) -minutes $(MINUTES) -seed $(SEED) \
	  -report $(CURDIR)/bench/results/$(shell date -u +%Y-%m-%d)-campaign.md

bench: broker-tools ## measure end to end against a real broker, beside Kafka Streams; writes bench/results
	go run ./bench/e2e -form full $(BENCHFLAGS)
	go test ./bench/micro -run '^$$' -bench '^BenchmarkLines$$' -benchmem -benchtime $(BENCHTIME)

bench-quick: broker-tools ## the same in a minute or two, printed only
	go run ./bench/e2e -form quick $(BENCHFLAGS)
	go test ./bench/micro -run '^$$' -bench '^BenchmarkLines$$' -benchmem -benchtime $(BENCHTIME)

bench-takeover: broker-tools ## how long shards stand still when an instance dies or stops; restores; writes bench/results
	go run ./bench/takeover -form full $(BENCHFLAGS)

bench-micro: ## time and allocations of single steps: decode, apply, encode, a whole shard
	go test -run '^$$' -bench '$(RUN)' -benchmem -benchtime $(BENCHTIME) -timeout 60m $(PKG)

golden: ## rewrite the expected files under testdata; review the diff like code
	go test -tags $(TAGS) -count 1 -run 'Scripts|RuleFiles|Golden' ./rules ./rules/ruletest -args -rewrite
	go test -tags $(TAGS) -count 1 -run 'Help|Explain' ./cmd/leadstream -args -update

generate: ## rewrite generated files
	go generate ./...

tree-clean: ## fail if a target above changed a file that is under version control
	@git() { command git -c safe.directory='*' "$$@"; }; \
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then \
	  changed=$$(git status --porcelain); \
	  if [ -n "$$changed" ]; then printf 'the tree is not clean:\n%s\n' "$$changed"; git diff | head -200; exit 1; fi; \
	else echo 'not a git checkout: nothing to compare'; fi

ci: ## what CI runs: lint, vet, generate, test, race, tree-clean
	.ci/run

clean: ## remove what was built; fetched tools and jars stay in .cache
	rm -rf bin dist

# The broker's jars are fetched before the tests, so that no test's time limit includes a download.
.PHONY: broker-tools
broker-tools:
	@missing=; for tool in java mvn; do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then bench/broker/kafka.sh jars; else \
	  echo "missing:$$missing. Tests against a real Kafka broker need Java 17 and, once, Maven; without they are skipped."; \
	  echo "  Debian, Ubuntu: apt-get install openjdk-17-jre-headless maven    macOS: brew install openjdk@17 maven"; \
	fi

# Built through the Go module proxy, like every other dependency; not a requirement of this module,
# so its own dependencies never meet ours.
$(GOLANGCI):
	GOBIN=$(TOOLS) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

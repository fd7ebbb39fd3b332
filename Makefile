# Everything a user or CI types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# The targets are steps in an order; trials and tests must not disturb each other.
.NOTPARALLEL:

VENV := $(CURDIR)/.venv
PYTHON := $(VENV)/bin/python
export PATH := $(VENV)/bin:$(PATH)
# More words for pytest or for runner.py: make unit ARGS="-k queue", make sweep ARGS="--set window_s=5"
ARGS ?=

.PHONY: help setup setup-dev test-tools sweep smoke bench test lint unit contract integration e2e lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv from requirements.lock
	@scripts/setup.sh requirements.lock

setup-dev: ## make .venv from requirements-dev.lock
	@scripts/setup.sh requirements-dev.lock

sweep: setup ## set everything up, then run experiments/backlog-sweep.yml (under 20 minutes)
	$(PYTHON) runner.py experiments/backlog-sweep.yml $(ARGS)

smoke: setup ## set everything up, then run experiments/smoke.yml (under a minute once httpd is built)
	$(PYTHON) runner.py experiments/smoke.yml $(ARGS)

bench: setup ## measure what a trial costs beside its window, against a bare shell loop
	$(PYTHON) benchmarks/overhead.py $(ARGS)

test: lint unit contract integration e2e ## set everything up, then run all checks and tests

lint: setup-dev ## ruff, mypy, ansible-lint, yamllint, import contracts
	ruff check .
	ruff format --check .
	mypy cgidlab tests runner.py
	mypy --python-version 3.10 -p cgidhost
	yamllint --strict .
	ansible-lint --offline
	lint-imports --no-cache

unit: setup-dev ## tests without files, hosts or programs
	pytest tests/unit -n auto $(ARGS)

contract: setup-dev ## tests that two halves agree
	pytest tests/contract $(ARGS)

integration: test-tools ## tests with real Ansible on this machine
	pytest tests/integration $(ARGS)

e2e: test-tools ## tests of whole runs against a really built httpd, and of the report in a browser (root)
	pytest tests/e2e $(ARGS)

test-tools: setup-dev ## what the tests need of this machine: a browser, a signer (root)
	@[ "$$(id -u)" != 0 ] || { log=$$(mktemp); ansible-playbook -i inventories/local.yml playbooks/test-tools.yml >"$$log" 2>&1 || { cat "$$log"; exit 1; }; rm -f "$$log"; }

lock: setup-dev ## resolve the requirements*.in files again into their locks
	scripts/lock.sh

clean: ## remove .venv and the tools' caches; never results or built httpds
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .ansible
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

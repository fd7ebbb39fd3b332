# Everything a user or CI types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# The targets are steps in an order; trials and tests must not disturb each other.
.NOTPARALLEL:

# Make works in this directory, whose own path may hold spaces.
PYTHON := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# More words for pytest: `make unit ARGS="-k queue"`; or for runner.py: `make sweep ARGS="--set window_s=5"`
ARGS ?=
# Tests of real programs wait half of their time, so two go on at a time; whole runs as if on two machines (tests/rigs/apart.sh).
BESIDE := -n 2
APART := --tx '2*popen//python=tests/rigs/apart.sh .venv/bin/python' --dist load
SLOWEST := --durations 10
# One cell of the table that `make servers` makes
QUICKEST_SERVER := 'tests/servers/test_fronts.py::test_an_overflow_is_one_and_costs_what_nginx_answered_with_502[php-fpm]'
# Where guests keep roots, kernels and disks (gigabytes), and which kernels vm-matrix takes (none named: all)
GUESTS ?= $(CURDIR)/.cache/guests
SUITES ?=

.PHONY: faults long noise fuzz audit help setup setup-dev test-tools sweep smoke bench bench-tools test lint unit contract integration e2e servers lock clean \
	guest-tools vagrant-sweep vagrant-e2e vm-one vm-matrix el-host

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv from requirements.lock
	@scripts/setup.sh requirements.lock

setup-dev: ## make .venv from requirements-dev.lock
	@scripts/setup.sh requirements-dev.lock

sweep: setup ## set everything up, then `./runner.py experiments/backlog-sweep.yml` (15 to 25 minutes)
	./runner.py experiments/backlog-sweep.yml $(ARGS)

smoke: setup ## set everything up, then `./runner.py experiments/smoke.yml` (under a minute once httpd is built)
	./runner.py experiments/smoke.yml $(ARGS)

bench: bench-tools ## measure what is to be fast, next to its peers (root; on a quiet machine about 45 minutes; ARGS="NAME ...")
	$(PYTHON) -m benchmarks $(ARGS)

test: lint audit unit contract integration e2e ## set everything up, then run all checks and tests

lint: setup-dev ## ruff, mypy, ansible-lint, yamllint, import contracts
	ruff check .
	ruff format --check .
	yamllint --strict .
	lint-imports --no-cache
	@# The two that take most of the time, side by side.
	@printf '%s\n' 'mypy cgidlab tests benchmarks runner.py && mypy --python-version 3.10 -p cgidhost' 'ansible-lint --offline' | \
		xargs -P 2 -I STEP bash -c 'echo "STEP"; STEP'

unit: setup-dev ## tests without files, hosts or programs
	pytest tests/unit -n auto $(SLOWEST) $(ARGS)

contract: setup-dev ## tests that two halves agree
	pytest tests/contract $(BESIDE) $(SLOWEST) $(ARGS)

integration: test-tools ## tests with real Ansible on this machine
	pytest tests/integration $(BESIDE) $(SLOWEST) $(ARGS)

e2e: test-tools ## tests of whole runs against a really built httpd, of the exporter and php-fpm's overflow, and of the report in a browser (root)
	pytest tests/e2e tests/servers/test_prometheus.py $(QUICKEST_SERVER) -m 'not matrix and not long' $(APART) $(SLOWEST) $(ARGS)

long: test-tools ## tests of whole experiments as people run them: a newcomer's first ones, and --if-changed (root, ten minutes)
	pytest tests/e2e -m long $(APART) $(SLOWEST) $(ARGS)

servers: test-tools ## watch a distribution's Apache and nginx before mod_cgid, php-fpm, mod_wsgi, uWSGI and gunicorn, the exporter, and a week of it; writes docs/observe.md and the READMEs (root, minutes)
	pytest tests/servers --write-table docs/observe.md $(SLOWEST) $(ARGS)

test-tools: setup-dev ## what the tests need of this machine: a browser, a signer (root)
	@[ "$$(id -u)" != 0 ] || { log=$$(mktemp); ansible-playbook -i inventories/local.yml playbooks/test-tools.yml >"$$log" 2>&1 || { cat "$$log"; exit 1; }; rm -f "$$log"; }

bench-tools: setup ## what the benchmarks need of this machine: perf, ripgrep, mmdebstrap ... (root)
	@[ "$$(id -u)" != 0 ] || { log=$$(mktemp); ansible-playbook -i inventories/local.yml playbooks/bench-tools.yml >"$$log" 2>&1 || { cat "$$log"; exit 1; }; rm -f "$$log"; }

faults: test-tools ## break real runs at every phase in every way and go on with each; writes docs/reliability.md (root, an hour)
	$(PYTHON) -m tests.faults.matrix --write docs/reliability.md $(ARGS)
	$(PYTHON) -m tests.faults.surroundings --write docs/reliability.md
	pytest tests/e2e -m matrix $(APART)

noise: test-tools ## is a neighbour seen wherever one runs, and alike beside every cell: real ones of three loads (root, on a quiet machine ten minutes)
	$(PYTHON) -m tests.noise.matrix $(ARGS)

fuzz: setup-dev ## try 100,000 bad inputs on every reader together, 20,000 changed run directories on every verb that reads one, and logs of 10 GB (hours); ARGS="--cases N --seed N"
	$(PYTHON) -m tests.fuzz.nightly $(ARGS)
	$(PYTHON) -m tests.fuzz.rundirs
	CGIDLAB_LINE_MB=10000 pytest -q tests/unit/test_hostile_logs.py

audit: setup-dev ## have pip-audit look for known vulnerabilities in the locks; skipped with the reason where it has no data
	@$(PYTHON) scripts/audit.py requirements.lock requirements-dev.lock

guest-tools: setup-dev ## what vagrant-e2e, vm-one, vm-matrix and el-host need of this machine: qemu, libvirt, rpm ... (root)
	ansible-playbook -i inventories/local.yml playbooks/guest-tools.yml

vagrant-sweep: setup ## bring up CentOS in Vagrant, then `./runner.py experiments/backlog-sweep.yml --target vagrant` (docs/vagrant.md)
	vagrant up
	./runner.py experiments/backlog-sweep.yml --target vagrant $(ARGS)

vagrant-e2e: guest-tools ## boot the Vagrantfile here with a Debian box of our own, run two trials, destroy it (root, ~15 minutes)
	$(PYTHON) -m tests.rigs.vagrant_e2e "$(GUESTS)"

vm-one: guest-tools ## what one other kernel does with the queue, in an emulated machine (root, ~15 minutes)
	$(PYTHON) -m tests.rigs.vm matrix "$(GUESTS)" bookworm

vm-matrix: guest-tools ## the same for the kernels of all Debian suites (root, an hour)
	$(PYTHON) -m tests.rigs.vm matrix "$(GUESTS)" $(SUITES)

el-host: guest-tools ## provision and measure on a host of Enterprise Linux's shape, with dnf and a source package, and try each handler there (root; ARGS="--handlers" for these alone)
	$(PYTHON) -m tests.rigs.el_host "$(GUESTS)" $(ARGS)

lock: setup-dev ## resolve the requirements*.in files again into their locks
	scripts/lock.sh

clean: ## remove .venv and the tools' caches; never results or built httpds
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .ansible
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

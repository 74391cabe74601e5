# pgseal: every target installs what it needs and is missing, and is quick the second time.
#   PG_CONFIG=…   another server than Debian's PostgreSQL 15 (PG_MAJOR=16 for its version 16)
#   MATRIX=…      which versions test-matrix tries (17 18)
#   JOBS=…        how many files of tests run side by side (2)
#   ARGS=…        handed to the program that the target runs: make test ARGS='-k savepoint', make bench ARGS=--quick

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test test-rust test-python test-matrix test-upgrade bench bench-memory bench-pruning \
        bench-preload bench-readme torture regress-postgres fuzz valgrind install package package-test build-tools \
        python lint format clean

PG_MAJOR ?= 15
PG_CONFIG ?= /usr/lib/postgresql/$(PG_MAJOR)/bin/pg_config
ARGS ?=
JOBS ?= 2
MATRIX ?= 17 18
OLD_MAJOR ?= 15
export PG_MAJOR PG_CONFIG
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

PYTHON := .venv/bin/python
FEATURES = --no-default-features --features $$($(PG_CONFIG) --version | sed -E 's/^PostgreSQL ([0-9]+).*/pg\1/')

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

demo: install ## seal this machine's package history, tamper with it, see what is found (a minute)
	@PYTHONPATH=tests python3 -B demo/demo.py $(ARGS)

demo-stop: ## end the server that an interactive demo left running
	@PYTHONPATH=tests python3 -B demo/demo.py --stop

test: test-rust test-python ## unit tests of the crates, then every test against real servers

test-rust: build-tools
	cargo test -p pgseal-chain -p pgseal-document -p pgseal-expression -p pgseal-schedule

test-python: install python
	cargo build --quiet -p pgseal-chain --example judge
	$(PYTHON) -m pytest --numprocesses=$(JOBS) --dist=loadfile $(ARGS)

test-matrix: export ARGS := $(ARGS)
test-matrix: export JOBS := $(JOBS)
test-matrix: ## every test on PostgreSQL 17 and 18, and pg_upgrade to them, in folders of newer Debians (root, hours)
	@tools/matrix.sh $(MATRIX)

# pg_upgrade from OLD_MAJOR to PG_MAJOR, both installed here: what test-matrix runs in its folders.
test-upgrade: install python
	@$(MAKE) --no-print-directory install PG_MAJOR=$(OLD_MAJOR) PG_CONFIG=/usr/lib/postgresql/$(OLD_MAJOR)/bin/pg_config
	PGSEAL_OLD_BINDIR=/usr/lib/postgresql/$(OLD_MAJOR)/bin $(PYTHON) -m pytest tests/matrix

bench: install python ## plain table, pgcrypto trigger and pgseal side by side: an hour (ARGS=--quick: some minutes)
	@PYTHONPATH=tests $(PYTHON) -B benches/run.py $(ARGS)

bench-memory: install python ## how much memory the verification of ten million entries takes (minutes, 10 GB of disk)
	@PYTHONPATH=tests $(PYTHON) -B benches/memory.py $(ARGS)

bench-pruning: install python ## what eight writers notice while the older half of a history is pruned (minutes)
	@PYTHONPATH=tests $(PYTHON) -B benches/pruning.py $(ARGS)

bench-preload: install python ## what preloading pgseal costs where nobody has created it: minutes (ARGS=--instructions: counted)
	@PYTHONPATH=tests $(PYTHON) -B benches/preload.py $(ARGS)

bench-readme: python ## put picture and table of the last whole bench into the README
	@PYTHONPATH=tests $(PYTHON) -B benches/readme.py

torture: install python ## kill -9 under sixteen writers, 50 times: some minutes (ARGS='--rounds 5 --seed 1')
	@PYTHONPATH=tests $(PYTHON) -B tools/torture.py $(ARGS)

regress-postgres: install python ## PostgreSQL's own tests without and with pgseal: half an hour (ARGS='--suites regress')
	@source=$$(tools/postgres-source.sh); \
	PYTHONPATH=tests $(PYTHON) -B tools/regress_postgres.py --source "$$source" $(ARGS)

install: build-tools ## build, and install into the server that PG_CONFIG names
	@tools/install.sh

package: build-tools ## build a Debian package into target/package
	@tools/packages.sh package
	@tools/package.sh

package-test: package ## install it in a bookworm folder of its own, try it there and take it away again (as root)
	@tools/package-test.sh

fuzz: ## hostile input for everything that pgseal reads (ARGS='60 jsonb': seconds for each target, which ones)
	@tools/packages.sh build
	@tools/fuzz.sh $(ARGS)

valgrind: install python ## a history's life in a server under valgrind, beside a plain server's (minutes)
	@tools/valgrind.sh

lint: build-tools ## formatting and clippy, warnings are errors
	@tools/components.sh
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(FEATURES) -- -D warnings

format: ## format the Rust sources
	cargo fmt --all

clean: demo-stop ## remove everything that was built here (not what was installed)
	rm -rf target .venv .pytest_cache .hypothesis
	find tests benches demo tools -name __pycache__ -type d -prune -exec rm -rf {} +

build-tools:
	@tools/packages.sh build
	@tools/pgrx.sh

python:
	@tools/packages.sh test
	@tools/monitoring.sh
	@tools/pgbouncer.sh
	@tools/venv.sh

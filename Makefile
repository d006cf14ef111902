# A target for each thing a developer does here; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# Test files played side by side, each process with a testbed of its own; many wait, so one more than two cores.
TEST_PROCESSES ?= 3
SIDE_BY_SIDE = $(if $(filter-out 1,$(TEST_PROCESSES)),-n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder)
# What asks the stores, and nothing that takes servers away: `make test MYSQL=mysql` runs them on MySQL in place of MariaDB.
STORE_TESTS := tests/adapters tests/api tests/workflows tests/dev
# Holds the checksum of what the environment was made from; `make setup` does nothing while it is current.
STAMP := $(VENV)/.setup-stamp
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url

.PHONY: help setup up down status logs restart reset seed demo test rehearse-containers fault-matrix stories soak rotate-keys conformance histories check format lock bench-import bench-token bench-cart bench-checkout bench-poison bench-stock bench-search judgements

help: ## list what can be done
	@echo "make <target>:"
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: ## make the virtual environment (.venv) with the locked dependencies
	@current="$$(cat requirements/dev.txt pyproject.toml Makefile | cksum) $$(pwd)"; \
	if [ -x $(BIN)/python ] && [ "$$(cat $(STAMP) 2>/dev/null)" = "$$current" ]; then exit 0; fi; \
	if ! command -v $(PYTHON) >/dev/null; then \
	  echo "$(PYTHON) was not found; install Python 3.11 or newer, or name yours: make setup PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  echo "$$($(PYTHON) --version) is too old; install Python 3.11 or newer, or name yours: make setup PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "installing python3-venv (Debian keeps it apart from Python)"; \
	    apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends python3-venv >/dev/null; \
	  else \
	    echo "Python's venv module is missing; run: sudo apt-get install -y python3-venv" >&2; exit 1; \
	  fi; \
	fi; \
	if ! $(BIN)/python -c '' 2>/dev/null; then echo "making $(VENV) with $$($(PYTHON) --version)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); fi; \
	echo "installing the locked dependencies"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt; \
	echo "installing this project, editable"; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .; \
	echo "$$current" > $(STAMP)

up: setup ## bring up every server, the simulators, the API and the workers
	@echo "bringing the stack up"
	@$(BIN)/python -m dev.stack up

down: setup ## stop everything; data stays
	@echo "stopping the stack"
	@$(BIN)/python -m dev.stack down

status: setup ## show which parts run, and where
	@$(BIN)/python -m dev.stack status

logs: setup ## show the last lines of the logs (NAME=api for one part)
	@$(BIN)/python -m dev.stack logs $(NAME)

restart: setup ## restart our processes after a change of code (NAME=order-worker for one of them)
	@$(BIN)/python -m dev.stack restart $(NAME)

reset: setup ## stop everything and delete all data; downloaded servers stay
	@echo "stopping the stack and deleting its data"
	@$(BIN)/python -m dev.stack reset

seed: setup ## migrate and fill the stores with sample data (safe to repeat)
	@echo "migrating and seeding"
	@$(BIN)/python -m dev.stack seed

demo: up ## bring everything up and show an order being delivered
	@echo "running the demo"
	@$(BIN)/python -m dev.demo

test: setup ## run every test; brings up the servers it needs (MYSQL=mysql: the tests of stores, API and workflows on MySQL, not MariaDB)
	@echo "bringing the servers up"
	@$(BIN)/python -m dev.stack up --only-servers
	@if [ "$(MYSQL)" = mysql ]; then \
	  echo "running $(STORE_TESTS) on MySQL, $(TEST_PROCESSES) file(s) at a time"; \
	  exec $(BIN)/pytest $(STORE_TESTS) $(SIDE_BY_SIDE); \
	fi; \
	failed=0; \
	echo "running the tests, $(TEST_PROCESSES) file(s) at a time"; \
	$(BIN)/pytest --ignore tests/e2e $(SIDE_BY_SIDE) || failed=1; \
	echo "running the end-to-end tests, likewise, on fresh testbeds"; \
	$(BIN)/pytest tests/e2e -m "not alone" $(SIDE_BY_SIDE) || failed=1; \
	echo "running the tests that need the machine for themselves, one after the other"; \
	$(BIN)/pytest tests/e2e -m alone || failed=1; \
	exit $$failed

rotate-keys: setup ## change the key that signs tokens; nobody is signed out
	@echo "rotating the signing keys"
	@$(BIN)/python -m dev.stack admin rotate-keys

conformance: up ## check the running API with an unmodified OAuth client library
	@echo "checking the running API with Authlib's client"
	@$(BIN)/python -m dev.conformance

bench-cart: setup ## measure reads and writes of cached carts, beside a bare route and a bare Redis GET
	@echo "measuring carts"
	@$(BIN)/python -m bench.cart_speed

bench-checkout: setup ## measure checkouts with stock reserved and payment authorized, beside a bare Temporal start
	@echo "measuring checkouts"
	@$(BIN)/python -m bench.checkout_speed

bench-poison: setup ## measure checkouts beside orders whose own data can never be stored, beside sound ones, and alone
	@echo "measuring checkouts beside poison orders"
	@$(BIN)/python -m bench.poison_orders

bench-token: setup ## measure what checking a token adds to a request, with Redis and without
	@echo "measuring the token check"
	@$(BIN)/python -m bench.token_check

bench-import: setup ## measure an import of 50,000 products into MySQL, and how soon the search index has them
	@echo "measuring the import"
	@$(BIN)/python -m bench.product_import

bench-search: setup ## measure search: nDCG of the judged queries, latency on 50,000 products, and how soon a change can be found
	@echo "measuring the quality of search, then its latency"
	@$(BIN)/python -m bench.search_quality
	@$(BIN)/python -m bench.search_latency
	@$(BIN)/python -m bench.search_freshness

judgements: setup ## grade the judged queries again by their rules
	@echo "grading the sample shop by the rules of bench/judgements.py"
	@$(BIN)/python -m bench.judgements

bench-stock: setup ## measure checkouts in a rush on scarce stock, beside the bare transaction
	@echo "measuring a rush on scarce stock"
	@$(BIN)/python -m bench.stock_rush

fault-matrix: setup ## play every failure of every activity of an order on real servers, and write docs/fault-matrix.md
	@echo "playing the fault matrix"
	@$(BIN)/python -m dev.fault_matrix

stories: setup ## play 300 orders to which anything happens in any sequence (STORIES=n for another number); a failure prints the shortest story
	@echo "bringing the servers up"
	@$(BIN)/python -m dev.stack up --only-servers
	@echo "playing stories"
	@STORIES=$(or $(STORIES),300) $(BIN)/pytest tests/workflows/test_stories.py

soak: setup ## play a hundred rounds of everything that can happen at once at a checkout, and a storm of outages
	@echo "playing a hundred rounds of each interleaving; a failure shows its seed"
	@ORDERS_TEST_ROUNDS=100 $(BIN)/pytest -v tests/e2e/test_interleavings.py
	@echo "racing webhooks against answers of the payment provider in 200 orders"
	@ORDERS_TEST_INTERLEAVINGS=200 $(BIN)/pytest -v tests/workflows/test_webhook_races.py
	@echo "running 200 orders while five workers and the Temporal server are killed, MySQL is away for 30 s and Kafka for 45 s"
	@ORDERS_TEST_ORDERS=200 $(BIN)/pytest -v -s tests/e2e/test_storm.py

rehearse-containers: setup ## bring docker-compose.yml up, with images made here, play orders and kill each container meanwhile
	@echo "rehearsing the containers"
	@$(BIN)/python -m dev.rehearsal

histories: setup ## record the workflow histories that are missing, for the replay tests (OVERWRITE=1 records all again)
	@echo "running an order down every path"
	@$(BIN)/python -m dev.histories.record_histories

check: setup ## check formatting, lint, types, import contracts and revisions of the schema
	@echo "ruff format --check"; $(BIN)/ruff format --check .
	@echo "ruff check"; $(BIN)/ruff check .
	@echo "mypy"; $(BIN)/mypy
	@echo "lint-imports"; $(BIN)/lint-imports
	@echo "revisions of the schema"; $(BIN)/python -m dev.migration_rules

format: setup ## format the code and apply lint fixes
	@echo "formatting"
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lock: setup ## resolve the dependencies of pyproject.toml into requirements/*.txt
	@echo "requirements/dev.txt"; $(LOCK) --group native --group dev pyproject.toml -o requirements/dev.txt
	@echo "requirements/runtime.txt"; $(LOCK) pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	@echo "requirements/simulators.txt"; $(LOCK) requirements/simulators.in -c requirements/dev.txt -o requirements/simulators.txt

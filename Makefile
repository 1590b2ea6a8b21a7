# Two commands: `make demo` shows the product, `make test` proves it. Both set up their own .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.apollo-installed
UV := $(shell command -v uv 2>/dev/null)
TESTS ?= tests
DEMO_LOG := $(CURDIR)/.demo/apollo.db
# Compiled modules are kept: without them each process that a test starts compiles all of the product again.
unexport PYTHONDONTWRITEBYTECODE
TRAIN_VENV := .venv-train
TRAIN_STAMP := $(TRAIN_VENV)/.apollo-installed

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-stop test train-env test-train test-harness conformance lint types layers check pictures bench bench-containment bench-supervision chaos soak clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 20

setup: $(STAMP) ## Make .venv with pinned versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Apollo needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
ifdef UV
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable . --group dev
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -qq --constraint constraints.txt --editable . --group dev
endif
	@touch $(STAMP)

demo: $(STAMP) ## Open the app on five demo sessions that really run (log in .demo/)
	@$(MAKE) --no-print-directory demo-stop
	@$(BIN)/apollo --log $(DEMO_LOG) demo $(DEMO_ARGS)

demo-stop: ## Stop the demo's host and remove its log
	@if [ -e $(DEMO_LOG) ] && [ -x $(BIN)/apollo ]; then $(BIN)/apollo --log $(DEMO_LOG) host stop --sessions --now --quiet || true; fi
	@rm -rf .demo

# Three processes on two cores: a test waits for its children, its servers and the clock for much of its time.
test: $(STAMP) ## Run all tests (none needs torch or the network)
	@$(BIN)/python -m pytest $(TESTS) -n 3 --dist worksteal -q

train-env: $(TRAIN_STAMP) ## Make .venv-train: torch, transformers, TRL (about 1.6 GB)

# pip, not uv, and torch first and alone: which build of torch fits this machine is the package index's business.
$(TRAIN_STAMP): pyproject.toml constraints-train.txt
	$(PYTHON) -m venv $(TRAIN_VENV)
	$(TRAIN_VENV)/bin/python -m pip install -qq torch==2.13.0
	$(TRAIN_VENV)/bin/python -m pip install -qq --constraint constraints-train.txt --editable '.[train]' pytest pytest-asyncio
	@touch $(TRAIN_STAMP)

test-train: $(TRAIN_STAMP) ## Run the tests of the trainers, on the CPU
	@OMP_NUM_THREADS=1 $(TRAIN_VENV)/bin/python -m pytest tests/train_env -q

test-harness: $(STAMP) ## Run agent programs of others through the gateway, each in its own environment (needs the network once)
	@PYTHON=$(PYTHON) bash scripts/harnesses.sh $(HARNESSES)

conformance: $(TRAIN_STAMP) ## Hand our files to another trainer's loader: TRAINER=trl|renderers|ms-swift|llamafactory|axolotl
	@PYTHON=$(PYTHON) bash scripts/conformance.sh $(TRAINER)

bench: $(STAMP) ## Measure the app against its budgets (docs/budgets.md), in ten minutes; FULL=1 for the long version
	@$(BIN)/python -m benchmarks.budgets $(if $(FULL),,--quick)

bench-containment: $(STAMP) ## What gets out of a prefix, and what a prefix adds to a command (docs/containment.md)
	@$(BIN)/python -m benchmarks.containment
	@$(BIN)/python -m benchmarks.containment.cost

bench-supervision: $(TRAIN_STAMP) ## Does supervision pay? Table and plots in docs/supervision; FULL=1 for the long version
	@$(TRAIN_VENV)/bin/python -m benchmarks.supervision $(if $(FULL),--full)

chaos: $(STAMP) ## Kill every process of the product, 1,002 times: is anything lost? (docs/reliability.md), half an hour
	@$(BIN)/python -m benchmarks.chaos $(CHAOS_ARGS)

soak: $(STAMP) ## 16 sessions for 48 hours as the field counts them, as fast as they go: does anything grow?
	@$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

lint: $(STAMP) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

layers: $(STAMP) ## The direction of imports
	$(BIN)/lint-imports

check: lint types layers ## Everything that needs no run

pictures: $(STAMP) ## Make the pictures of README and guide from the running app
	$(BIN)/python scripts/pictures.py
	$(BIN)/python scripts/night_pictures.py
	$(BIN)/python scripts/judging_pictures.py

clean: demo-stop ## Remove the environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

# Two commands are enough on a fresh machine, each of which builds .venv by itself when needed:
#   make verify    cross-check minigrad against PyTorch and JAX, and write reports/latest
#   make test      lint, types and tests

PYTHON ?= python3
# PyTorch's build, pinned: CPU-only by default, so that nothing pulls gigabytes of CUDA.
# Where there is no such build (macOS):  export TORCH=torch==2.13.0
TORCH ?= torch==2.13.0+cpu
# Options of the command:  make verify ARGS="--examples 20000 --seed 7"
ARGS ?=
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready-$(subst =,-,$(TORCH))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup doctor verify atlas faults bench test lint format report clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## build .venv (torch first, CPU-only) if it is missing or stale

# The venv is stale when what it is built from has changed.
$(STAMP): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is older than Python 3.11; run make again with PYTHON=python3.11 or later"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "make: $(PYTHON) -m venv failed; install Python's venv module (on Debian: python3-venv)"; exit 1; }
	@echo "installing $(TORCH)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt '$(TORCH)' || \
	  { echo "make: no $(TORCH) here; on macOS, export TORCH=torch==2.13.0; on Linux, set PIP_EXTRA_INDEX_URL to PyTorch's CPU index (plain torch is gigabytes of CUDA there)"; exit 1; }
	@echo "installing the rest"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[both,report,bench,strangers,dev]' || \
	  { echo "make: the packages of constraints.txt could not be installed; check the package index, or make clean and try again"; exit 1; }
	@touch $@

doctor: $(STAMP)  ## show versions, devices, threads, subnormal numbers, and what is missing
	$(BIN)/python -m oracles doctor

verify: $(STAMP)  ## run the cross-framework campaign; ARGS="--examples 20000 --seed 7" for more
	$(BIN)/python -m oracles verify $(ARGS)

report: $(STAMP)  ## rebuild the pages of the latest run from its journal
	$(BIN)/python -m oracles report

atlas: $(STAMP)  ## tabulate what everyone returns at kinks, edges and extremes; ARGS="--function hypot"
	$(BIN)/python -m oracles atlas $(ARGS)

faults: $(STAMP)  ## measure what the harness would miss: plant faults in minigrad, one at a time; ARGS="--only 'sign@*'"
	$(BIN)/python -m oracles faults $(ARGS)

bench: $(STAMP)  ## time minigrad against hand-written NumPy, torch, jax and autograd; ARGS="--only f-64x64"
	$(BIN)/python -m oracles bench $(ARGS)

test: lint  ## lint, types, and every test
	$(BIN)/python -m pytest --quiet -rs --numprocesses $(WORKERS)

lint: $(STAMP)  ## ruff and mypy (strict on minigrad and oracles)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## let ruff format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove .venv, caches, saved cases, and the latest run, atlas, faults and benchmark
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .oracles reports/latest reports/atlas reports/faults reports/bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

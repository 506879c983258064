PYTHON ?= python3.11
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
STAMP := $(VENV)/.installed

# Shows what pip is at, without its 250 lines.
PROGRESS = /^Collecting/ { if (++n % 50 == 0) print "  " n " packages fetched" } /^Installing/ { print "  " n " packages fetched; writing them to disk" } { fflush() }

PYTEST ?= pytest

# A test that hangs fails with the stack of every thread, so that it does not hold up the others for ever.
ENDS_HANGS = -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true

# Tests wait for services much of their time, so two processes more than cores keep the cores busy.
WORKERS ?= 4

# Threads that wait for each other leave the core to other processes.
export OMP_WAIT_POLICY ?= PASSIVE

# Hundreds of processes import the same modules, which are compiled once even where the environment forbids it.
export PYTHONDONTWRITEBYTECODE =

.PHONY: install install-gpu run check test soak coverage lint fmt docs bench lock clean

install: $(STAMP)

# An environment of another lock is made again, so that nothing of the old one is left in it.
$(LOCKED): requirements.lock
	@echo "installing the packages of requirements.lock into $(VENV); this takes some minutes, once"
	$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps -r requirements.lock | awk '$(PROGRESS)'
	touch $@

$(STAMP): $(LOCKED) pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# XGBoost's GPU build in place of the CPU build of the same version.
install-gpu: install
	$(BIN)/python -m pip uninstall --quiet --yes xgboost-cpu
	$(BIN)/python -m pip install --disable-pip-version-check xgboost==$$($(BIN)/python -c 'import re; print(re.search(r"xgboost-cpu==([0-9.]+)", open("requirements.lock").read())[1])')

run: install
	$(BIN)/mikrobot run

# With AGAIN, tests that failed run once more, one after the other: some measure real seconds, which busy cores stretch.
test: install
	$(BIN)/python -m $(PYTEST) -q -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(ENDS_HANGS) || { \
	code=$$?; test -n "$(AGAIN)" -a $$code = 1 || exit $$code; \
	$(BIN)/python -m $(PYTEST) -q --last-failed --last-failed-no-failures none $(ENDS_HANGS); }

# What needs no service: style, types, contracts, unit tests and doctests.
check: lint
	$(BIN)/python -m pytest -q -n 2 tests/unit src

# The long tests that `make test` leaves out, and those that draw random cases, with all of them.
soak: install
	SOAK=1 $(BIN)/python -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder

# The tests, with the share of lines that they run; fails below the targets of tests/coverage_targets.py.
coverage: install
	rm -f .coverage .coverage.*
	$(MAKE) --no-print-directory test PYTEST="coverage run -m pytest" AGAIN=yes
	$(BIN)/coverage combine -q
	$(BIN)/python -m tests.coverage_targets

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture

fmt: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# docs/features.md and the expectation suite of the features, both made from the catalog, and docs/settings.md.
docs: install
	$(BIN)/python -m mikrobot.settings_page > docs/settings.md.new && mv docs/settings.md.new docs/settings.md
	$(BIN)/python -m mikrobot.features.docs > docs/features.md.new && mv docs/features.md.new docs/features.md
	$(BIN)/python -m expectations

bench: install
	$(BIN)/mikrobot bench

lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.lock

clean:
	rm -rf $(VENV) .mikrobot .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

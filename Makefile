# Plumbline. `make` lists what there is to do; every target does its own set-up, in .venv and nowhere else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
REQUIREMENTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test third-party lint bench bench-detection migration lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(VENV)/dev.stamp ## Install Plumbline and the tools of its developers into .venv

demo: $(VENV)/run.stamp ## Watch a simulated endpoint get worse (SEED=n, DEMO_FAULT=none, DEMO_EXIT=1)
	@$(BIN)/plumbline demo

test: lint ## Check everything: style, types, import contracts, tests (ARGS="tests/rotation -k split")
	@echo "== pytest"
	@$(BIN)/python -m pytest -q -n 2 $(ARGS)

third-party: $(VENV)/dev.stamp $(VENV)-third-party/installed.stamp ## Ask servers that others wrote (LiteLLM's proxy)
	@$(BIN)/python -m pytest -q tests/third_party/check_litellm.py

lint: $(VENV)/dev.stamp ## Check style, types and import contracts only
	@echo "== ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@echo "== mypy"
	@$(BIN)/mypy -p probes -p rotation -p alerts -p monitor -p tests -p bench
	@echo "== import contracts"
	@$(BIN)/lint-imports > $(VENV)/lint-imports.log 2>&1 || { cat $(VENV)/lint-imports.log; exit 1; }

bench: $(VENV)/dev.stamp ## Measure, beside the bare limits of this machine
	@$(BIN)/python -m bench

bench-detection: $(VENV)/dev.stamp ## Measure delays and false alarms of the detectors (ARGS="--short", ARGS=--pictures)
	@$(BIN)/python -m bench.detection $(ARGS)

migration: $(VENV)/dev.stamp ## Write a migration for what changed in monitor/store/tables.py (M="what it does")
	@rm -f $(VENV)/migration.db
	@PLUMBLINE_STORE=sqlite+aiosqlite:///$(VENV)/migration.db $(BIN)/alembic upgrade head
	@PLUMBLINE_STORE=sqlite+aiosqlite:///$(VENV)/migration.db $(BIN)/alembic revision --autogenerate -m "$(M)" \
		--rev-id "$$(printf '%04d' $$(($$(ls migrations/versions/[0-9]*.py | wc -l) + 1)))"

lock: $(VENV)/dev.stamp ## Upgrade every dependency and pin what came
	@$(PIP) install --upgrade --upgrade-strategy eager -e '.[dev]'
	@{ head -n 1 constraints.txt; $(PIP) freeze --exclude-editable; } > $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt

clean: ## Remove .venv and everything that the tools left behind
	rm -rf $(VENV) $(VENV)-third-party build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
		echo "Plumbline needs Python 3.11 or newer, and $(PYTHON) is not;"; \
		echo "name one that is: make PYTHON=/usr/bin/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
		echo "This Python cannot make virtual environments; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "== making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)-third-party/installed.stamp: tests/third_party/requirements.txt | $(BIN)/python
	@echo "== installing servers of others into $(VENV)-third-party"
	@$(PYTHON) -m venv $(VENV)-third-party
	@$(VENV)-third-party/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@touch $@

$(VENV)/run.stamp: $(REQUIREMENTS) | $(BIN)/python
	@echo "== installing Plumbline into $(VENV)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/dev.stamp: $(REQUIREMENTS) | $(BIN)/python
	@echo "== installing Plumbline and its developers' tools into $(VENV)"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/run.stamp

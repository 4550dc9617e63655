# `make` alone: format, lint, types, layers, fast tests. Everything runs in .venv, which is made on first use.
.DEFAULT_GOAL := all
.PHONY: all format lint types layers fast test label-studio dspy demo bench python clean help
.DELETE_ON_ERROR:
SHELL := /bin/sh
BIN := .venv/bin
TORCH := torch==2.13.0# installed before all else, so that a CPU build that the machine offers is not replaced
LABEL_STUDIO ?= $(or $(QUORATE_LABEL_STUDIO),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/quorate/label-studio)
FAST := not slow and not postgres and not browser and not peer and not gpu and not label_studio and not dspy

all: format lint types layers fast ## what to run before a commit

# ---- checks ---------------------------------------------------------------------------------------------------------
format: .venv/dev ## rewrite the source in the house style
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix-only .

lint: .venv/dev ## style, without changing a file
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: .venv/dev ## strict types on src
	@$(BIN)/pyright --pythonpath $(BIN)/python

layers: .venv/dev ## a room imports only rooms below it
	@$(BIN)/lint-imports --no-logo

# ---- tests ----------------------------------------------------------------------------------------------------------
fast: .venv/dev ## the tests that need seconds
	@$(BIN)/python -m pytest -q -m "$(FAST)"

test: .venv/dev ## every test, the slow ones and those beside peers too; one process more than cores, since many tests wait
	@$(BIN)/python -m pytest -n $$(( $$(nproc) + 1 )) --dist loadfile

label-studio: .venv/dev $(LABEL_STUDIO)/bin/label-studio ## tests beside a real Label Studio, installed once into a cache
	@QUORATE_LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest -q -m label_studio tests/acceptance

dspy: ## tests of the search by DSPy, in an environment of its own (300 MB)
	@.ci/venv .venv-dspy
	@.venv-dspy/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dspy]' pytest hypothesis beartype
	@.venv-dspy/bin/python -m pytest -q -m dspy tests/unit/judge/test_dspy_search.py

bench: .venv/dev ## speed, memory and accuracy, with figures; each script stands alone and has --help
	@$(BIN)/python benchmarks/encode.py
	@$(BIN)/python benchmarks/dawid_skene.py
	@$(BIN)/python benchmarks/hybrid.py
	@$(BIN)/python benchmarks/worlds.py
	@$(BIN)/python benchmarks/replay.py
	@$(BIN)/python benchmarks/certify.py
	@$(BIN)/python benchmarks/acquire.py
	@$(BIN)/python benchmarks/act.py
	@$(BIN)/python benchmarks/amplify.py --items 20000
	@$(BIN)/python benchmarks/selecting.py
	@$(BIN)/python benchmarks/selecting_many.py
	@$(BIN)/python benchmarks/student.py
	@$(BIN)/python benchmarks/calibration.py
	@$(BIN)/python benchmarks/llm.py
	@$(BIN)/python benchmarks/cascade.py
	@$(BIN)/python benchmarks/recorded.py
	@$(BIN)/python benchmarks/request_cost.py

# ---- the library at work --------------------------------------------------------------------------------------------
demo: .venv/demo ## real digits, real classifiers, simulated people: what a consensus saves
	@$(BIN)/quorate demo

# ---- the environment: made once, made again when pyproject.toml changes ----------------------------------------------
.venv/dev: pyproject.toml | .venv/bin/python
	@echo "installing quorate and its tools into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch .venv/demo $@

.venv/demo: pyproject.toml | .venv/bin/python
	@echo "installing quorate into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(LABEL_STUDIO)/bin/label-studio:
	@echo "installing Label Studio into $(LABEL_STUDIO) (once; 1 GB)"
	@.ci/venv $(LABEL_STUDIO)
	@$(LABEL_STUDIO)/bin/python -m pip install --quiet --disable-pip-version-check label-studio==1.23.2

.venv/bin/python:
	@.ci/venv .venv

clean: ## remove what make made
	rm -rf .venv .venv-dspy .pytest_cache .ruff_cache .hypothesis .import_linter_cache quorate-demo

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

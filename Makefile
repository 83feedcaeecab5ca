# Every target sets itself up: only Python >= 3.11, make and pip are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Encoders and libraries would otherwise fight over the few cores of a laptop.
export TOKENIZERS_PARALLELISM ?= true

.PHONY: help quickstart test test-all lint bench clean setup

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: $(READY) ## the main job on real text: a sweep, a ranking, samples (about 5 minutes)
	$(BIN)/loom corpora fetch gutenberg
	$(BIN)/loom study quickstart

test: $(READY) ## all fast tests, on CPU
	$(BIN)/python -m pytest -m "not slow"

test-all: $(READY) ## all tests, also those that take minutes
	$(BIN)/python -m pytest

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) ## training speed on this machine
	$(BIN)/python experiments/speed/bench.py

setup: $(READY) ## only create .venv and install

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean: ## remove .venv and tool caches (outputs and the corpus cache stay)
	rm -rf $(VENV) .ruff_cache .mypy_cache .pytest_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +

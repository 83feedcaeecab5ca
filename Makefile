# Every target sets itself up: only Python >= 3.11, make and pip are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
# Compiled on all cores at the end, not on one while installing.
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check \
  --retries 10 --constraint constraints.txt
# Encoders and libraries would otherwise fight over the few cores of a laptop.
export TOKENIZERS_PARALLELISM ?= true

.PHONY: help quickstart test test-all soak test-gpu lint bench bench-parallel bench-export clean setup

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

quickstart: $(READY) ## the main job on real text: a sweep, a ranking, samples (about 5 minutes)
	$(BIN)/loom corpora fetch gutenberg
	$(BIN)/loom study quickstart

test: $(READY) ## all fast tests, on CPU
	$(PYTEST) -m "not slow and not soak"

test-all: $(READY) ## all tests but the soaks, as .ci/run does
	$(PYTEST) -m "not soak" -rs --durations=80 --durations-min=2

soak: $(READY) ## long loops and whole tables of pairs: about an hour
	$(PYTEST) -m soak

test-gpu: $(READY) ## the same code on a GPU: a few minutes
	$(BIN)/python -m pytest -m gpu -rs tests/test_gpu.py

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) ## training speed on this machine
	$(BIN)/python experiments/speed/bench.py

bench-parallel: $(READY) ## speed and bytes of every way to spread a run over two processes
	$(BIN)/python experiments/parallel_speed/parallel_bench.py

bench-export: $(READY) ## latency and size of every export format
	$(BIN)/python experiments/export_latency/latency_bench.py

setup: $(READY) ## only create .venv and install

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch || $(PIP) torch
	$(PIP) --editable '.[dev]' || $(PIP) --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib >/dev/null 2>&1 || true  # some are no modules
	@touch $@

clean: ## remove .venv and tool caches (outputs and the corpus cache stay)
	rm -rf $(VENV) .ruff_cache .mypy_cache .pytest_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +

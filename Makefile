# `make demo` and `make test` set up all they need: a virtual environment with the built extension.
# Needed on the machine: a Rust toolchain, Python 3.11 or later, make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUST := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: demo test lint format clean

demo: $(VENV)/installed
	$(BIN)/tdxexplore compare --cpus 2-6 --out demo || test $$? -eq 1
	@echo "The tables are in demo/*.parquet."

test: lint
	cargo test --workspace --quiet
	$(BIN)/python -m pytest -q -n auto

lint: $(VENV)/installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest tdxexplore._core --mypy-config-file pyproject.toml

format: $(VENV)/installed
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The extension is built again when a Rust file has changed.
$(VENV)/installed: pyproject.toml $(RUST)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) target demo

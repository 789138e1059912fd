# The recipes of ringside; each installs what it lacks. `make run` and `make test` are the two to know.

RUST     := scripts/ensure-rust.sh
CARGO    := $(RUST) cargo
TARGET   := $(or $(CARGO_TARGET_DIR),target)
RINGSIDE := $(abspath $(TARGET)/release/ringside)
CONFIG   := pipeline.toml
# Where `make install` puts what it installs, below DESTDIR.
PREFIX   := /usr/local
# How long `make soak` lasts, in seconds, and how many calls it places in each.
SOAK_TIME := 1800
SOAK_RATE := 1000
# What of `make load` (calls, resident, others, packets, beside, burst, stall, reader) or `make bench-replay` (a number of
# calls, day) to do; all of it when empty.
PART :=
# How long `make fuzz` gives each target, in seconds.
FUZZ_TIME := 60

# Test programs by name. LIVE needs root, peers such as SIPp and a browser, or programs such as promtool; UNIT is all else.
LIVE := alerts collector daemon live load program
UNIT := $(filter-out $(LIVE),$(sort $(notdir $(basename $(patsubst %/main.rs,%,$(wildcard */tests/*.rs */tests/*/main.rs))))))
SKIPPED    = $(abspath $(TARGET)/skipped.txt)
# All of them by calls of cargo for the whole workspace, so that none builds a crate with features of its own.
CARGO_TEST = $(CARGO) test --workspace --no-fail-fast
# The program in examples/, a workspace by itself.
OWN        = --manifest-path examples/own-components/Cargo.toml --target-dir $(abspath $(TARGET))
TEST       = RINGSIDE_SKIPPED=$(SKIPPED) scripts/test.sh $(SKIPPED)

.PHONY: help run build build-steer unit test test-captures check demo package install image test-package dashboards pictures cost bench bench-replay \
	load soak kernels fuzz deps-run deps-unit deps-test deps-load

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: build ## capture live SIP, serve metrics (needs root, or CAP_NET_RAW and CAP_BPF)
	$(RINGSIDE) run --config $(CONFIG)

build: deps-run ## the release binary
	$(CARGO) build --release --package ringside

build-steer: deps-run ## the release binary of the daemon that steers
	$(CARGO) build --release --package steer --bin ringside-steer

unit: deps-unit ## unit and in-process tests: no root, no peers, nothing installed but what building needs
	$(TEST) $(CARGO_TEST) --lib --bin ringside $(addprefix --test ,$(UNIT))

# The live tests drive the binary that users get: the release one.
test: deps-test build ## every test; the live ones with real SIPp calls through the real eBPF program
	RINGSIDE_BIN=$(RINGSIDE) $(TEST) sh -c '$(CARGO_TEST); first=$$?; $(CARGO) test $(OWN) && exit $$first'

# What is skipped where nobody names them, and nothing else.
test-captures: build ## the tests over other people's captures, in the folder that RINGSIDE_SHARED names
	RINGSIDE_BIN=$(RINGSIDE) $(TEST) sh -c '$(CARGO_TEST) --test real_captures --test torture; first=$$?; \
		$(CARGO_TEST) --bin ringside --test captures --test program -- real_capture torture other_peoples && exit $$first'

check: deps-run ## formatting, clippy with warnings denied, documentation, subjects of commits
	scripts/subjects.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(CARGO) fmt --manifest-path examples/own-components/Cargo.toml --check
	$(CARGO) clippy $(OWN) --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --workspace --no-deps --document-private-items

demo: deps-test build ## real calls on the loopback interface, the metrics they leave, and one ladder
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) run --package integration --bin demo

package: build build-steer ## the Debian packages, in target/debian
	scripts/package.sh

# Everything below $(DESTDIR)$(PREFIX), but for the configuration; one that is there is left as it is.
install: build ## binary, configuration, unit and user below DESTDIR and PREFIX (/usr/local)
	scripts/install.sh "$(RINGSIDE)" "$(DESTDIR)" "$(PREFIX)"

image: package ## the container image localhost/ringside, with buildah
	buildah build --file deploy/Containerfile --tag localhost/ringside $(TARGET)/debian

test-package: package ## the packages on a bare Debian under a real systemd: install, capture and steer, upgrade, purge
	@scripts/install-deps.sh test package
	deploy/test/package.sh
	deploy/test/steer.sh

dashboards: ## dashboards/grafana/*.json anew from their sources
	$(CARGO) run --package dashboards

cost: deps-test build ## what traces cost: processor time and memory for each call (needs root)
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) run --package integration --bin cost

pictures: deps-test build ## docs/pictures anew: dashboards, console and ladder after real calls
	@scripts/install-deps.sh pictures
	npm ci --prefix dashboards/picture --no-audit --no-fund
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) run --package integration --bin showcase -- docs/pictures
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) run --package integration --bin console-pictures -- docs/pictures

bench: deps-run ## benchmarks
	$(CARGO) bench --workspace

# These drive the binary that users get, and print tables for docs/benchmarks.md.
bench-replay: build ## replay of made-up captures of 10,000 to 1,000,000 calls, and of a day
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) run --release --package integration --bin bench-replay -- $(PART)

load: deps-test deps-load build ## live capture from 500 calls/s to as many packets as the machine sends
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) run --release --package integration --bin load -- $(PART)

soak: deps-test build ## half an hour of calls, scrapes, reloads and outages of an OTLP receiver
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) run --release --package integration --bin soak -- $(SOAK_TIME) $(SOAK_RATE)

kernels: deps-run ## the steering programs on Linux 6.1 and 6.12, in an emulator
	@scripts/install-deps.sh kernels
	scripts/kernels.sh

steer-bench: deps-test build ## what steering does for calls and what it costs, at full size, PART=affinity trunk switching faults cost floods capture (needs root)
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) bench --package steer --bench load -- $(PART)

fuzz: deps-run ## every fuzz target for FUZZ_TIME seconds
	$(RUST) scripts/fuzz.sh $(FUZZ_TIME)

deps-run:
	@scripts/install-deps.sh run

deps-unit:
	@scripts/install-deps.sh unit

deps-load:
	@scripts/install-deps.sh load

# Where npm has no registry the tests in a browser are skipped, which they say.
deps-test:
	@scripts/install-deps.sh run test
	@[ -e integration/browser/node_modules/playwright-core ] || npm ci --prefix integration/browser --no-audit --no-fund || true

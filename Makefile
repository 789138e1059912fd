# The recipes of ringside; each installs what it lacks. `make run` and `make test` are the two to know.

RUST     := scripts/ensure-rust.sh
CARGO    := $(RUST) cargo
TARGET   := $(or $(CARGO_TARGET_DIR),target)
RINGSIDE := $(abspath $(TARGET)/release/ringside)
CONFIG   := pipeline.toml
# Where `make install` puts what it installs, below DESTDIR.
PREFIX   := /usr/local
# Where `make dist` puts what is released.
OUT      := $(TARGET)/release-files
# How long `make soak` lasts, in seconds, and how many calls it places in each.
SOAK_TIME := 1800
SOAK_RATE := 1000
# What of `make load` (calls, resident, others, packets, beside, burst, stall, reader) or `make bench-replay` (a number of
# calls, day) to do; all of it when empty.
PART :=
# How long `make fuzz` gives each target, in seconds.
FUZZ_TIME := 60
# What random tests start from: the same in each run, so that a change is judged by what it changes. `make properties` draws anew.
export PROPTEST_RNG_SEED ?= 3261
# How many inputs `make properties` gives each random test.
CASES := 5000

# Test programs by name. LIVE needs root, peers such as SIPp and a browser, or programs such as promtool; UNIT is all else.
LIVE := alerts collector daemon live load program
UNIT := $(filter-out $(LIVE),$(sort $(notdir $(basename $(patsubst %/main.rs,%,$(wildcard */tests/*.rs */tests/*/main.rs))))))
SKIPPED    = $(abspath $(TARGET)/skipped.txt)
# All of them by calls of cargo for the whole workspace, so that none builds a crate with features of its own.
CARGO_TEST = $(CARGO) test --workspace --no-fail-fast
# The program in examples/, a workspace by itself.
OWN        = --manifest-path examples/own-components/Cargo.toml --target-dir $(abspath $(TARGET))
TEST       = RINGSIDE_SKIPPED=$(SKIPPED) scripts/test.sh $(SKIPPED)

.PHONY: help run build build-steer unit test test-captures check demo package dist docs deny install image images-of-packages test-package test-charts dashboards pictures cost bench bench-replay \
	load soak kernels fuzz properties deps-run deps-unit deps-test deps-load

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: build ## capture live SIP, serve metrics (needs root, or CAP_NET_RAW and CAP_BPF)
	$(RINGSIDE) run --config $(CONFIG)

build: deps-run ## the release binary; its debug information is beside it
	$(CARGO) build --release --package ringside
	@scripts/split.sh $(RINGSIDE)

build-steer: deps-run ## the release binary of the daemon that steers
	$(CARGO) build --release --package steer --bin ringside-steer
	@scripts/split.sh $(RINGSIDE)-steer

unit: deps-unit ## unit and in-process tests: no root, no peers, nothing installed but what building needs
	$(TEST) $(CARGO_TEST) --lib $(addprefix --test ,$(UNIT))

# The live tests drive the binary that users get: the release one.
test: deps-test build ## every test; the live ones with real SIPp calls through the real eBPF program
	RINGSIDE_BIN=$(RINGSIDE) $(TEST) sh -c '$(CARGO_TEST); first=$$?; $(CARGO) test $(OWN) && exit $$first'

# What is skipped where nobody names them, and nothing else.
test-captures: build ## the tests over other people's captures, in the folder that RINGSIDE_SHARED names
	RINGSIDE_BIN=$(RINGSIDE) $(TEST) sh -c '$(CARGO_TEST) --test real_captures --test torture; first=$$?; \
		$(CARGO_TEST) --lib --test captures --test program -- real_capture torture other_peoples && exit $$first'

check: deps-run ## formatting, clippy with warnings denied, documentation, subjects of commits
	scripts/subjects.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(CARGO) fmt --manifest-path examples/own-components/Cargo.toml --check
	$(CARGO) clippy $(OWN) --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --workspace --no-deps --document-private-items

demo: deps-test build ## real calls on the loopback interface, the metrics they leave, and one ladder
	RINGSIDE_BIN=$(RINGSIDE) $(CARGO) run --package integration --bin demo

package: build build-steer ## packages for Debian, in target/debian, and for the family of Red Hat, in target/rpm
	scripts/package.sh deb rpm

dist: ## everything that is released, from a clean clone of HEAD, into OUT: packages, archives, images, lists, checksums
	@scripts/install-deps.sh run dist
	scripts/dist.sh $(OUT)

docs: ## the pages of docs/ as a book, in target/book/html
	rm -rf $(TARGET)/book
	scripts/docs.sh $(TARGET)/book/src pictures
	cp docs/book.toml docs/book.css $(TARGET)/book/
	$$(scripts/tool.sh mdbook) build --dest-dir $(abspath $(TARGET))/book/html $(TARGET)/book

deny: ## licences, sources, bans and, where its database can be had, advisories of everything that is linked
	scripts/deny.sh

# Everything below $(DESTDIR)$(PREFIX), but for the configuration; one that is there is left as it is.
install: build ## binary, configuration, unit and user below DESTDIR and PREFIX (/usr/local)
	scripts/install.sh "$(RINGSIDE)" "$(DESTDIR)" "$(PREFIX)"

image: package images-of-packages ## the container images localhost/ringside and localhost/ringside-steer (needs root and buildah)

images-of-packages:
	@scripts/install-deps.sh image
	scripts/image.sh $$(ls -v $(TARGET)/debian/ringside_*.deb | tail -n 1) ringside 10212 cap_net_raw,cap_bpf
	scripts/image.sh $$(ls -v $(TARGET)/debian/ringside-steer_*.deb | tail -n 1) ringside-steer 10213 cap_bpf,cap_net_admin,cap_perfmon

test-package: package ## the packages: linted, unpacked, and on a bare Debian under a real systemd
	@scripts/install-deps.sh test package
	deploy/test/rpm.sh
	deploy/test/package.sh
	deploy/test/steer.sh

test-charts: ## the Helm chart and the kustomization: linted, rendered, held against each other and against the schemas
	deploy/test/charts.sh

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

properties: deps-unit ## the tests without root over, each random one with CASES inputs that are new each time
	env --unset=PROPTEST_RNG_SEED PROPTEST_CASES=$(CASES) $(TEST) $(CARGO_TEST) --lib $(addprefix --test ,$(UNIT))

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

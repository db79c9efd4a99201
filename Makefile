# `make` lists the targets. Two commands do all the set-up: `make run` and `make test`.
CARGO ?= cargo
CARGO_TARGET_DIR ?= target
PREFIX ?= /usr/local
DESTDIR ?=
SECONDS ?= 600
SEED ?=
SEEDS ?=
export CARGO_TARGET_DIR

binary = $(CARGO_TARGET_DIR)/release/statsd

# A static binary needs no C library of the target, and looks names up without its plugins.
# ARCH=aarch64 makes one for 64-bit Arm on any machine.
ARCH ?= $(shell uname -m)
static = $(ARCH)-unknown-linux-musl
static_binary = $(CARGO_TARGET_DIR)/$(static)/release/statsd

.DEFAULT_GOAL := help

.PHONY: help build run peers test test-all browser packages static arm monitors simulate sanitize fuzz picture soak bench micro counts check fmt clean install uninstall deb dist image FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the server (release)
	$(CARGO) build --release

# A newcomer edits statsd.conf, so it is read as soon as it exists. It is not tracked by git.
run: build ## build and run the server with ./statsd.conf, or statsd.conf.example if there is none
	@conf=statsd.conf; test -e $$conf || conf=statsd.conf.example; \
	echo "make run: the configuration is $$conf"; \
	echo "make run: without Graphite, a warning about carbon is normal; Ctrl-C stops the server"; \
	exec $(binary) -c $$conf

peers: ## install, once, what the tests talk to: carbon, clients, Node's statsd
	@tests/peers/install.sh

# Most end-to-end tests wait for a flush, so more of them run at a time than there are processors.
# These use a processor each, or measure, so they run with one thread for each processor. `--skip`
# matches any part of a test's path, so no other module may end with one of these names.
busy_tests = delivery:: flood:: outage:: spool:: start:: throughput::

# `run` executes a command and goes on if it fails. `report` prints the duration and what failed. It
# repeats the panics of the failed tests, for a CI that shows only the last lines of the output.
keep_going = start=$$(date +%s); failed=; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	run() { echo "+ $$*"; \
		status=$$({ { "$$@" 2>&1; echo $$? >&3; } | tee -a "$$log" >&4; } 3>&1); \
		[ "$$status" = 0 ] || failed="$$failed$$(printf '\n  %s' "$$*")"; }; \
	report() { echo "make $@ took $$(($$(date +%s) - start)) s"; \
		if [ -n "$$failed" ]; then \
			awk '/^---- .* ----$$/ || / panicked at / || /^error/ { left = 10 } left-- > 0' "$$log" \
				| cut -c 1-1000; \
			echo "failed:$$failed"; exit 1; fi; }; exec 4>&1

# A recipe that names $(MAKE) itself would run under `make -n` too.
remake = $(MAKE) --no-print-directory

# All steps name the same packages and profile. Otherwise cargo would build dependencies again, with
# other features.
cargo_test = $(CARGO) test --workspace --profile quick

test: ## install the peers and run every test at full size
	@$(keep_going); \
	run $(remake) peers; \
	run $(cargo_test) --no-fail-fast --lib --bins --test core --test tidy --test bench; \
	run $(cargo_test) --test e2e -- --test-threads=6 $(patsubst %,--skip %,$(busy_tests)); \
	run $(cargo_test) --test e2e -- $(busy_tests); \
	report

test-all: ## `make test`, then `make browser`, `monitors`, `packages`, `arm`, `sanitize`, `fuzz` (SECONDS=n, SEED=n)
	@$(keep_going); \
	run $(remake) test; \
	run $(remake) browser; \
	run $(remake) monitors; \
	run $(remake) packages; \
	run $(remake) arm; \
	run $(remake) sanitize; \
	run $(remake) fuzz; \
	report

packages: deb dist ## the ways of docs/install.md, the units, the container, the completions, the manifests (as root)
	tests/packages/debian.sh $(CARGO_TARGET_DIR)/debian/statsd_*.deb $(CARGO_TARGET_DIR)/tmp
	tests/packages/doors.sh $(CARGO_TARGET_DIR)/debian/statsd_*.deb $(CARGO_TARGET_DIR)/$(name).tar.gz \
		$(binary) $(CARGO_TARGET_DIR)/tmp
	tests/packages/units.sh $(static_binary) $(CARGO_TARGET_DIR)/tmp
	tests/packages/container.sh $(static_binary) $(CARGO_TARGET_DIR)/tmp
	tests/packages/completions.sh
	tests/packages/kubernetes.sh $(CARGO_TARGET_DIR)/tmp

arm: ## the static binary and the tests of the unsafe code for 64-bit Arm, under Debian's qemu-user
	@$(remake) static ARCH=aarch64
	tests/packages/arm.sh $(CARGO_TARGET_DIR)/aarch64-unknown-linux-musl/release/statsd $(CARGO_TARGET_DIR)/tmp

browser: ## the page in Debian's chromium, with screenshots in target/tmp (installs chromium; ARGS=WORD)
	$(CARGO) build
	@tests/browser/run.sh $(abspath $(CARGO_TARGET_DIR))/debug/statsd $(abspath $(CARGO_TARGET_DIR))/tmp $(ARGS)

monitors: peers ## Debian's prometheus and victoria-metrics read what the server shows and sends (installs both, as root)
	@command -v promtool >/dev/null && command -v victoria-metrics >/dev/null || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus victoria-metrics; }
	$(cargo_test) --test e2e -- metrics:: victoria::

simulate: ## the server by a virtual clock, with every fault: SEEDS=n trials (10000), or SEED=n alone
	SIMULATE_SEEDS=$(or $(SEEDS),10000) SIMULATE_SEED=$(SEED) $(CARGO) test --profile quick --lib simulation -- --nocapture

# Miri knows none of the system calls that the unsafe code is about; the address sanitizer runs them for real.
host = $(shell rustc -vV | sed -n 's/^host: //p')
sanitize: ## the tests of the unsafe code (src/sys) under the address sanitizer
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" $(CARGO) test --target $(host) --lib sys

# Not guided by coverage, as cargo-fuzz is (tests/fuzz/Cargo.toml), but it needs nothing installed.
fuzz: ## the fuzz targets over changed corpora, under the address sanitizer (SECONDS=n for all together, SEED=n)
	SECONDS=$(SECONDS) SEED=$(SEED) CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/fuzz CARGO_PROFILE_DEV_OPT_LEVEL=2 \
		RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" \
		$(CARGO) test --target $(host) --test core -- --ignored --nocapture every_target_in_turn_for_a_time

picture: peers ## three minutes of traffic as graphite-web draws them: target/tmp/graphite.png
	$(CARGO) test --test e2e graphite_web -- --ignored picture
	@echo "To show it in the README: cp $(CARGO_TARGET_DIR)/tmp/graphite.png docs/graphite.png"

# First the tests that limit memory and times, one after the other.
soak: peers ## ten minutes of load, restarts, reloads and trouble; the sums must agree (SECONDS=n, SEED=n)
	@$(keep_going); \
	run $(CARGO) test --release --test e2e -- --test-threads=1 start::idle_memory start::start_to_ready flood::; \
	run env SECONDS=$(SECONDS) $(CARGO) test --release --test e2e soak -- --ignored --nocapture --test-threads=1; \
	report

bench: ## compare with the other servers found here: 45 minutes, kept in bench/runs (ARGS=flags)
	@bench/peers/install.sh
	$(CARGO) build --release --workspace
	$(CARGO_TARGET_DIR)/release/statsd-bench compare $(ARGS)

micro: ## micro-benchmarks of parse, apply, close and encode, by the clock (ARGS=WORD for some)
	$(CARGO) bench --profile micro --bench micro -- $(ARGS)

counts: ## the same by the instruction, under valgrind: a table, kept in bench/runs (ARGS=WORD for some)
	$(CARGO) bench --profile micro --bench counts -- $(ARGS)

check: ## formatting, clippy and every test
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@$(MAKE) --no-print-directory test

fmt: ## format the sources
	$(CARGO) fmt --all

clean: ## remove what was built and the installed peers
	$(CARGO) clean
	rm -rf .peers

# Root installs what another user has built, so this target never builds. Cargo lists in statsd.d
# what the binary was made of. A package takes its files from here, too: see `deb` and `dist`.
share = $(DESTDIR)$(PREFIX)/share
install: ## install the built binary, units, man pages and, if there is none, /etc/statsd.conf (PREFIX, DESTDIR)
	@test -x $(binary) || { \
		echo "make install: there is no $(binary). Run \`make build\` first, as an ordinary user." >&2; \
		echo "If it was built elsewhere: make install CARGO_TARGET_DIR=FOLDER" >&2; exit 1; }
	install -D -m 755 $(binary) $(DESTDIR)$(PREFIX)/bin/statsd
	install -D -m 644 -t $(share)/doc/statsd statsd.conf.example
	install -D -m 644 -t $(share)/man/man8 packaging/man/statsd.8
	install -D -m 644 -t $(share)/man/man5 packaging/man/statsd.conf.5
	install -D -m 644 packaging/completions/statsd.bash $(share)/bash-completion/completions/statsd
	install -D -m 644 packaging/completions/_statsd $(share)/zsh/site-functions/_statsd
	install -D -m 644 packaging/completions/statsd.fish $(share)/fish/vendor_completions.d/statsd.fish
	install -D -m 644 -t $(units) packaging/systemd/statsd.socket packaging/systemd/statsd.service
	sed -i 's|/usr/local|$(PREFIX)|' $(units)/statsd.service
	install -D -m 644 packaging/systemd/statsd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/statsd.conf
	test -e $(DESTDIR)/etc/statsd.conf || install -D -m 644 packaging/statsd.conf $(DESTDIR)/etc/statsd.conf
	install -d -m 700 $(DESTDIR)/var/lib/statsd
	@test -n "$(DESTDIR)" || ! command -v systemd-sysusers > /dev/null || { \
		echo "systemd-sysusers $(abspath packaging/systemd/statsd.sysusers)"; \
		systemd-sysusers $(abspath packaging/systemd/statsd.sysusers); }
	@for file in $$(sed -n 's/^[^:]*: //p' $(binary).d 2>/dev/null); do \
		if [ "$$file" -nt $(binary) ]; then \
			echo "make install: warning: $$file is newer than $(binary)." \
				"To install the newer source, run \`make build\` and \`make install\` again." >&2; break; \
		fi; \
	done

# The units of systemd are searched for below /usr/local as well.
units = $(DESTDIR)$(PREFIX)/lib/systemd/system

uninstall: ## remove what `make install` has installed; /etc/statsd.conf and /var/lib/statsd stay
	rm -f $(DESTDIR)$(PREFIX)/bin/statsd $(share)/man/man8/statsd.8 $(share)/man/man5/statsd.conf.5
	rm -f $(share)/bash-completion/completions/statsd $(share)/zsh/site-functions/_statsd
	rm -f $(share)/fish/vendor_completions.d/statsd.fish $(DESTDIR)$(PREFIX)/lib/sysusers.d/statsd.conf
	rm -f $(units)/statsd.socket $(units)/statsd.service
	rm -rf $(share)/doc/statsd
	@echo "make uninstall: a server that still runs ends with: systemctl disable --now statsd.socket statsd.service"
	@echo "make uninstall: /etc/statsd.conf, /var/lib/statsd and the user statsd are still there"

static: $(static_binary) ## build the static binary (adds the Rust target, once; ARCH=aarch64 for 64-bit Arm)

$(static_binary): FORCE
	@rustc --print target-libdir --target $(static) | xargs test -d || { \
		echo "rustup target add $(static)"; rustup target add $(static); }
	$(CARGO) build --release --target $(static)

FORCE:

# All files of `make install` in one folder, with the binary of a package.
staged = target/package
stage = rm -rf $(staged) && $(remake) install binary=$(1) DESTDIR=$(abspath $(staged)) PREFIX=/usr

deb: build ## a Debian package, in target/debian (installs cargo-deb with Cargo, once)
	@command -v cargo-deb > /dev/null || $(CARGO) install cargo-deb --locked
	@$(call stage,$(binary))
	$(CARGO) deb --no-build --no-strip

version = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name = statsd-$(version)-linux-$(ARCH)
# The tarball lists no folders. Otherwise `tar -C /` would change the mode and time of /etc and /usr.
dist: $(static_binary) ## a tarball with a static binary, units, docs and a checksum, in target (ARCH=aarch64)
	@$(call stage,$(static_binary))
	cp README.md CHANGELOG.md LICENSE $(staged)/usr/share/doc/statsd
	cp -r docs $(staged)/usr/share/doc/statsd/docs
	cd $(staged) && find etc usr -type f | LC_ALL=C sort | tar --files-from=- \
		--owner=0 --group=0 --numeric-owner --mtime=@$$(git log -1 --format=%ct 2>/dev/null || echo 0) \
		-czf $(abspath $(CARGO_TARGET_DIR))/$(name).tar.gz
	cd $(CARGO_TARGET_DIR) && sha256sum $(name).tar.gz > $(name).tar.gz.sha256
	@ls -l $(CARGO_TARGET_DIR)/$(name).tar.gz

# Any of the three builds from a Dockerfile without a daemon of its own or with one.
builder = $(firstword $(foreach name,podman buildah docker,$(if $(shell command -v $(name)),$(name))))
image: $(static_binary) ## a container image with the static binary alone: statsd:VERSION
	@test -n "$(builder)" || { echo "make image: install podman, buildah or docker" >&2; exit 1; }
	rm -rf target/image && mkdir -p target/image
	cp packaging/container/Dockerfile $(static_binary) target/image
	$(builder) build $(if $(filter podman buildah,$(builder)),--format docker) \
		$(if $(filter-out $(shell uname -m),$(ARCH)),--platform linux/$(if $(filter aarch64,$(ARCH)),arm64,amd64)) \
		-t statsd:$(version) -f target/image/Dockerfile target/image
	@echo "make image: statsd:$(version) is in the store of $(builder)"

# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. Each says in one line what failed.

PREFIX ?= /usr/local
SEED ?= 1
BENCH ?=

release := .build/release
programs := brume brume-spawner brume-agent

# $(call step,COMMAND,WHAT FAILED)
define step
@$(1) || { echo "make $@: FAILED: $(2)" >&2; exit 1; }
endef

.DEFAULT_GOAL := help
.PHONY: help demo test test-vm check fmt build bench sim install uninstall clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

demo: ## a node, the samples and real input, from nothing to a clean machine
	@Scripts/demo

test: ## install what is missing, build, run every test
	@Scripts/test

test-vm: ## the cgroup v2 checks, in a virtual machine
	@Scripts/bootstrap vm || { echo "make $@: FAILED: installing what is missing" >&2; exit 1; }
	@Scripts/test-vm || { echo "make $@: FAILED: the checks above" >&2; exit 1; }

check: ## format and rules of the house, without the other tests
	$(call step,Scripts/lint,the format; make fmt mends it)
	$(call step,swift test --filter TidyTests,the rules of the house; the reasons stand above)

fmt: ## write the sources as .swift-format says
	$(call step,Scripts/lint --fix,what the formatter cannot mend is listed above)

build: ## release build of brume, brume-spawner and brume-agent
	$(call step,Scripts/bootstrap build,installing what is missing)
	$(call step,Scripts/build,the release build)

bench: build ## measure beside direct calls and nginx (BENCH="--quick --peer NAME=URL")
	$(call step,Scripts/bootstrap bench,installing what is missing)
	$(call step,Benchmarks/run --brume $(release)/brume $(BENCH),the benchmark; its lines say which figure)

sim: build ## replay one seed in virtual time (SEED=1)
	$(call step,$(release)/brume simulate --seed $(SEED),seed $(SEED); the same command replays it)

install: build ## into PREFIX (/usr/local), with completions
	$(call step,install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/libexec/brume",cannot write to $(DESTDIR)$(PREFIX); run as root or set PREFIX)
	$(call step,install -s -m 755 $(release)/brume "$(DESTDIR)$(PREFIX)/bin/brume",copying brume)
	$(call step,install -s -m 755 $(release)/brume-spawner $(release)/brume-agent "$(DESTDIR)$(PREFIX)/libexec/brume/",copying the helpers)
	$(call step,Scripts/completions $(release)/brume "$(DESTDIR)$(PREFIX)/share",writing the completions)
	@echo "make install: brume is in $(DESTDIR)$(PREFIX)/bin"

uninstall: ## remove what make install wrote
	$(call step,rm -rf "$(DESTDIR)$(PREFIX)/bin/brume" "$(DESTDIR)$(PREFIX)/libexec/brume",cannot write to $(DESTDIR)$(PREFIX))
	$(call step,Scripts/completions --remove "$(DESTDIR)$(PREFIX)/share",removing the completions)

clean: ## remove what was built
	$(call step,rm -rf .build Examples/*/.build,removing .build)

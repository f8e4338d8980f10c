# One door for habits: `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Tests start the program hundreds of times, and with this set each start compiles all of it anew.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
READY := .venv/.ready
CODE := binderbox deploys tests inventories
PYTEST := $(BIN)/python -m pytest
# Much of it waits for something, so there are more workers than processors.
UNIT = $(PYTEST) -n 6 -m "not host and not long" --ignore tests/charts
# The tests of one shared host, and beside them all others.
ON_HOSTS = $(PYTEST) -p tests.tools.parts -n 2 --dist loadgroup
# Runs its arguments and says how long they took.
timed = @started=$$(date +%s.%N); { $(2); } || exit 1; printf '%-10s %8.1f s\n' '$(1)' "$$(echo "$$(date +%s.%N) - $$started" | awk '{print $$1 - $$3}')"

.PHONY: help setup lint types docs test-fast test test-long test-vm test-vm-fast bench demo demo-down clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 12

setup: $(READY) ## make .venv with the project and its tools

$(READY): pyproject.toml tests/tools/venv.sh
	@echo "setting up .venv, usually 15 s"
	@tests/tools/venv.sh
	@touch $@

lint: $(READY) ## ruff
	$(call timed,lint,$(BIN)/ruff check --quiet $(CODE) && $(BIN)/ruff format --quiet --check $(CODE))

# The sample is a repository of its own, which binderbox serves and never imports.
types: $(READY) ## mypy, strict, as the package is laid out once installed
	$(call timed,types,rm -rf build/types && mkdir -p build/types && cp -r binderbox build/types/ \
		&& cp -r deploys build/types/binderbox/ && rm -rf build/types/binderbox/launch/repository && cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml \
		--cache-dir ../../.mypy_cache -p binderbox)

docs: $(READY) ## write the generated pages of docs/ anew
	@$(BIN)/python -m tests.tools.docs

test-fast: lint types ## lint, types and all tests that need no host and no rig
	$(call timed,unit,$(UNIT))

test: lint types ## everything but the full matrices: lint, types, unit, rig, charts, host, end to end
	$(call timed,unit,$(UNIT))
	@$(ON_HOSTS) --without-part unit -m "not long"

test-long: $(READY) ## the full matrices
	@$(ON_HOSTS) -m long

test-vm: $(READY) ## a member on a virtual machine, in stages from saved disks; STAGE=install|launch|resolver|power_cut|drain|abusers|strangers|uninstall for one
	@BINDERBOX_VM=1 $(PYTEST) -x -s tests/vm/test_stages.py $(if $(STAGE),-k test_$(STAGE))

test-vm-fast: $(READY) ## on a virtual machine, what needs no Kubernetes
	@BINDERBOX_VM=1 $(PYTEST) -s tests/vm/test_fast.py

bench: $(READY) ## measure what the project promises; writes build/bench.jsonl
	@mkdir -p build
	@$(BIN)/python -m tests.bench

demo: $(READY) ## a throwaway host with a member on it, and a notebook to open; TLS=acme for certificates of a Pebble
	@$(BIN)/python -m tests.rig demo $(if $(TLS),--tls $(TLS))

demo-down: $(READY) ## remove what `make demo` made
	@$(BIN)/python -m tests.rig demo-down

clean: ## end what the rig started, remove what was built in this checkout
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tests.rig clean; fi
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .venv *.egg-info
	@echo "the rig's cache stays: $${XDG_CACHE_HOME:-$$HOME/.cache}/binderbox-rig"

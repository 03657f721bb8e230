# One word for each thing an operator or developer does. `make` alone lists them.
PYTHON ?= python3
VENV   := $(CURDIR)/.venv
STACK  ?= stack/lab.yaml
ENGINE := scripts/engine
STAMP  := $(VENV)/.stamp
export VENV

# An engine on a socket of its own is the one everything here talks to.
ifdef STACKCTL_ENGINE_SOCKET
export DOCKER_HOST := unix://$(STACKCTL_ENGINE_SOCKET)
endif

CALL := $(VENV:$(CURDIR)/%=%)/bin/stackctl

FUZZ_SECONDS ?= 3

UNIT := $(if $(filter true,$(CI)),coverage,unit)

# A picture of the production stack from an earlier run of the whole-machine tests; without it `pictures` runs them.
PRODUCTION_PICTURE ?=

SHELL_FILES = scripts/engine images/base/build .ci/run compose/production/host/prepare.sh $(wildcard scripts/*.sh tests/vm/*.sh tests/script/host/fakes/* tests/script/host/killing/*)

.DEFAULT_GOAL := help
.PHONY: help venv engine up demo down clean test lint unit coverage peers browser fuzz script integration test-vm held machines bench bench-vm docs lock capture next pictures

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

venv: $(STAMP) ## the Python environment in .venv, from requirements.lock

# Redone only when what it is made from changes.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is missing or older than 3.11; give another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 3; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv module; getting it from Debian's packages" >&2; $(ENGINE) tools python3-venv; }
	@[ -x $(VENV)/bin/python ] || $(PYTHON) -m venv $(VENV)
	@# The lock is whole. Without --no-deps pip looks at releases newer than it for a dependency with an extra, and stops.
	$(VENV)/bin/pip install --quiet --no-deps --requirement requirements.lock
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation --editable '.[test]'
	$(VENV)/bin/pip check
	$(VENV)/bin/python -m compileall -q src # compiled now, not at the operator's first call
	@touch $@

engine: venv ## a Docker engine and compose v2, installed and started if none answers
	@$(ENGINE) up

up: engine ## the stack of STACK=stack/lab.yaml, running and proven
	@$(ENGINE) tools mmdebstrap || echo "make: without mmdebstrap the base image has to come from a registry" >&2
	@[ -e $(dir $(STACK))secrets.yaml ] || $(VENV)/bin/stackctl init --secrets-only --file $(STACK)
	$(VENV)/bin/stackctl up --file $(STACK)
	@$(MAKE) --no-print-directory next STACK=$(STACK)

# By the path that works in this folder: the environment's programs are not on PATH.
next:
	@printf '%s\n' '' '$(STACK) runs. Next, in this folder:' \
	    '  $(CALL) status --file $(STACK)   # its containers' \
	    '  $(CALL) probe --file $(STACK)    # a handshake of every user, mode and replica' \
	    '  $(CALL) links --file $(STACK)    # tg://proxy links, with the secrets'

demo: STACK = stack/demo.yaml
demo: up ## the whole path without the internet: data centre, metrics, and a handshake for everyone
	$(VENV)/bin/stackctl probe --file $(STACK)

down: venv ## stop the stack, then the engine if `make` started it
	@if $(ENGINE) status >/dev/null 2>&1; then for stack in $(STACK) stack/demo.yaml; do $(VENV)/bin/stackctl down --volumes --file $$stack || exit; done; else echo "make: no engine answers, so no stack runs"; fi
	@$(ENGINE) down

test: venv ## lint, unit, peers, browser, fuzz, script, integration, one whole machine; starts an engine if none runs, and stops that one again
	@[ $$(id -u) = 0 ] || { echo "make: the integration tests enter other users' namespaces and processes: run this as root (sudo make test)" >&2; exit 2; }
	@$(ENGINE) status >/dev/null 2>&1 || trap '$(ENGINE) down' EXIT; \
	trap 'exit 130' INT; trap 'exit 143' TERM; \
	$(ENGINE) up && $(ENGINE) tools && $(MAKE) --no-print-directory lint $(UNIT) peers browser fuzz script integration machines

lint: venv ## ruff, mypy, shellcheck
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	@$(ENGINE) tools shellcheck
	shellcheck $(SHELL_FILES)
	$(VENV)/bin/python -c 'from stackctl.render.host import hardware_script as s; print(s(), end="")' | shellcheck -

unit: venv ## tests that need no engine, on all processors
	$(VENV)/bin/pytest tests/unit -n auto

coverage: venv ## the same with coverage, as CI runs them
	$(VENV)/bin/pytest tests/unit -n auto --cov --cov-report=term

peers: venv ## the client of MTProto against proxies and clients that others wrote, on loopback
	$(VENV)/bin/pytest tests/peers

browser: venv ## the page of `load --html` in headless Chromium, Debian's; a minute, and 100 MB the first time
	@$(ENGINE) tools chromium
	$(VENV)/bin/pytest tests/browser

# The names first and on their own: a list that cannot be had must not be an empty one.
fuzz: venv ## every parser of bytes from the network, FUZZ_SECONDS=3 on each
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	for side in server client; do \
	    names=$$($(VENV)/bin/python tests/fuzz/$$side.py 2>"$$scratch/log") || { cat "$$scratch/log" >&2; exit 1; }; \
	    for name in $$names; do \
	        (cd "$$scratch" && $(VENV)/bin/python $(CURDIR)/tests/fuzz/$$side.py "$$name" $(FUZZ_SECONDS) "$$scratch/$$side-$$name") >"$$scratch/log" 2>&1 || { cat "$$scratch/log" >&2; exit 1; }; \
	        echo "fuzz $$side $$name: $$(sed -n 's/^Done //p' "$$scratch/log")"; \
	    done; \
	done

script: venv ## prepare.sh in dash and busybox, on a folder that stands for a host; a minute or two
	@$(ENGINE) tools busybox
	$(VENV)/bin/pytest tests/script

integration: venv ## tests against a real engine, two at a time (`make engine` first)
	$(VENV)/bin/pytest tests/integration -n 2

# Ids of tests name the Debian release; test_held.py has a machine of its own, and `held` runs it.
machines: venv ## the whole machine that `make test` has, Debian 13: prepared, rebooted, proven, rolled back
	@$(ENGINE) tools vm
	$(VENV)/bin/pytest tests/vm -k trixie

# One machine at a time: two emulated ones on two cores make health checks run into their timeout.
test-vm: venv ## the other machines: Debian 12 with every sabotage and kill, 20,000 held; starts an engine as `test` does
	@[ $$(id -u) = 0 ] || { echo "make: building the machines needs root: run this as root (sudo make test-vm)" >&2; exit 2; }
	@$(ENGINE) status >/dev/null 2>&1 || trap '$(ENGINE) down' EXIT; \
	trap 'exit 130' INT; trap 'exit 143' TERM; \
	$(ENGINE) up && $(ENGINE) tools vm && \
	$(VENV)/bin/pytest tests/vm -k 'bookworm or test_held'

held: venv ## 20,000 connections held in a machine of its own, with every limit verified (`make engine` first)
	@$(ENGINE) tools vm
	$(VENV)/bin/pytest tests/vm/test_held.py

bench: venv ## measurements on this machine (`make engine` first)
	$(VENV)/bin/python -m benchmarks

bench-vm: venv ## 100,000 and 250,000 connections held by the production stack in a machine of 8 GiB; half an hour and more
	@[ $$(id -u) = 0 ] || { echo "make: building the machine needs root: run this as root (sudo make bench-vm)" >&2; exit 2; }
	@$(ENGINE) status >/dev/null 2>&1 || trap '$(ENGINE) down' EXIT; \
	trap 'exit 130' INT; trap 'exit 143' TERM; \
	$(ENGINE) up && $(ENGINE) tools vm && $(VENV)/bin/python -m benchmarks.vm

docs: venv ## write what comes from the code: docs/stack-file.md, limits.md, commands.md, stack/*.yaml, the schema
	$(VENV)/bin/python -m scripts.documents

capture: venv ## write tests/captured anew: what the collector answers of live stacks; CASES="NAME ..." for some (`make engine` first)
	$(VENV)/bin/python -m scripts.capture $(CASES)

pictures: engine ## docs/report.svg from the lab, docs/production.svg from a whole machine or PRODUCTION_PICTURE=FILE
	$(MAKE) --no-print-directory up STACK=stack/lab.yaml
	$(VENV)/bin/stackctl verify --file stack/lab.yaml --svg docs/report.svg
	@reports=$$(mktemp -d) && trap 'rm -rf "$$reports"' EXIT && picture="$(PRODUCTION_PICTURE)" && \
	if [ -z "$$picture" ]; then \
	    picture=$$reports/production-trixie.svg && \
	    STACKCTL_VM_REPORTS=$$reports $(MAKE) --no-print-directory machines; \
	fi && cp "$$picture" docs/production.svg

lock: ## write requirements.lock anew, to the newest releases pyproject.toml allows
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(PYTHON) -m venv "$$scratch" && \
	"$$scratch/bin/pip" install --quiet uv && \
	"$$scratch/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links --annotation-style line \
	    --output-file requirements.lock pyproject.toml && \
	echo "make: requirements.lock holds $$(grep -c '^[a-zA-Z]' requirements.lock) packages"

clean: ## remove the environment, caches and build results (not the engine: scripts/engine purge)
	rm -rf .venv dist .stackctl stack/.stackctl .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests images -name __pycache__ -type d -prune -exec rm -rf {} +

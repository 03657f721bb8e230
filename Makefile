# One word for each thing an operator or developer does. `make` alone lists them.
PYTHON ?= python3
VENV   := $(CURDIR)/.venv
STACK  ?= stack/lab.yaml
ENGINE := scripts/engine
STAMP  := $(VENV)/.stamp
export VENV

# All commands here talk to the engine on this socket, if it is set.
ifdef STACKCTL_ENGINE_SOCKET
export DOCKER_HOST := unix://$(STACKCTL_ENGINE_SOCKET)
endif

CALL := $(VENV:$(CURDIR)/%=%)/bin/stackctl

FUZZ_SECONDS ?= 3

UNIT := $(if $(filter true,$(CI)),coverage,unit)

# A picture of the production stack from an earlier run of `machines`. Without it `pictures` runs `machines`.
PRODUCTION_PICTURE ?=

SHELL_FILES = scripts/engine images/base/build .ci/run compose/production/host/prepare.sh $(wildcard scripts/*.sh tests/vm/*.sh tests/script/host/fakes/* tests/script/host/killing/*)

.DEFAULT_GOAL := help
.PHONY: help venv engine up demo down clean test lint unit coverage peers browser fuzz script integration test-vm held machines bench bench-vm docs lock capture next pictures

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

venv: $(STAMP) ## the Python environment in .venv, from requirements.lock

# Made again only when one of these two files changes.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is missing or older than 3.11; give another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 3; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv module; getting it from Debian's packages" >&2; $(ENGINE) tools python3-venv; }
	@[ -x $(VENV)/bin/python ] || $(PYTHON) -m venv $(VENV)
	@# The lock names every package. Without --no-deps pip would look for newer releases of dependencies with extras, and fail.
	$(VENV)/bin/pip install --quiet --no-deps --requirement requirements.lock
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation --editable '.[test]'
	$(VENV)/bin/pip check
	$(VENV)/bin/python -m compileall -q src # so that the operator's first call is fast
	@touch $@

engine: venv ## install and start a Docker engine and compose v2, if none answers
	@$(ENGINE) up

up: engine ## start the stack of STACK=stack/lab.yaml, and prove it
	@$(ENGINE) tools mmdebstrap || echo "make: without mmdebstrap the base image has to come from a registry" >&2
	@[ -e $(dir $(STACK))secrets.yaml ] || $(VENV)/bin/stackctl init --secrets-only --file $(STACK)
	$(VENV)/bin/stackctl up --file $(STACK)
	@$(MAKE) --no-print-directory next STACK=$(STACK)

# The commands are shown with their path, because the environment's programs are not on PATH.
next:
	@printf '%s\n' '' '$(STACK) runs. Next, in this folder:' \
	    '  $(CALL) status --file $(STACK)   # its containers' \
	    '  $(CALL) probe --file $(STACK)    # a handshake of every user, mode and replica' \
	    '  $(CALL) links --file $(STACK)    # tg://proxy links, with the secrets'

demo: STACK = stack/demo.yaml
demo: up ## start a stack that needs no internet, with data centre and metrics, and probe it for every user
	$(VENV)/bin/stackctl probe --file $(STACK)

down: venv ## stop the stack, then the engine if `make` started it
	@if $(ENGINE) status >/dev/null 2>&1; then for stack in $(STACK) stack/demo.yaml; do $(VENV)/bin/stackctl down --volumes --file $$stack || exit; done; else echo "make: no engine answers, so no stack runs"; fi
	@$(ENGINE) down

test: venv ## lint, unit, peers, browser, fuzz, script, integration, one whole machine; starts an engine if none runs, and stops it again
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

unit: venv ## run the tests that need no engine, on all processors
	$(VENV)/bin/pytest tests/unit -n auto

coverage: venv ## run the unit tests with coverage, as CI does
	$(VENV)/bin/pytest tests/unit -n auto --cov --cov-report=term

peers: venv ## test our MTProto client and double against proxies and clients of others, on loopback
	$(VENV)/bin/pytest tests/peers

browser: venv ## test the page of `load --html` in Debian's headless Chromium; a minute, and 100 MB the first time
	@$(ENGINE) tools chromium
	$(VENV)/bin/pytest tests/browser

# The list of names is made first: if that fails the target must fail, not run with an empty list.
fuzz: venv ## fuzz every parser of bytes from the network, for FUZZ_SECONDS=3 each
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	for side in server client; do \
	    names=$$($(VENV)/bin/python tests/fuzz/$$side.py 2>"$$scratch/log") || { cat "$$scratch/log" >&2; exit 1; }; \
	    for name in $$names; do \
	        (cd "$$scratch" && $(VENV)/bin/python $(CURDIR)/tests/fuzz/$$side.py "$$name" $(FUZZ_SECONDS) "$$scratch/$$side-$$name") >"$$scratch/log" 2>&1 || { cat "$$scratch/log" >&2; exit 1; }; \
	        echo "fuzz $$side $$name: $$(sed -n 's/^Done //p' "$$scratch/log")"; \
	    done; \
	done

script: venv ## test prepare.sh in dash and busybox, on a folder that stands for a host; one or two minutes
	@$(ENGINE) tools busybox
	$(VENV)/bin/pytest tests/script

integration: venv ## run the tests against a real engine, two at a time (`make engine` first)
	$(VENV)/bin/pytest tests/integration -n 2

# The ids of the tests name the Debian release. test_held.py has its own machine; `held` runs it.
machines: venv ## prepare, reboot, prove and roll back a whole machine with Debian 13, as `make test` does
	@$(ENGINE) tools vm
	$(VENV)/bin/pytest tests/vm -k trixie

# One machine at a time: with two emulated machines on two cores health checks time out.
test-vm: venv ## test the other machines: Debian 12 with every sabotage and kill, 20,000 held; starts an engine as `test` does
	@[ $$(id -u) = 0 ] || { echo "make: building the machines needs root: run this as root (sudo make test-vm)" >&2; exit 2; }
	@$(ENGINE) status >/dev/null 2>&1 || trap '$(ENGINE) down' EXIT; \
	trap 'exit 130' INT; trap 'exit 143' TERM; \
	$(ENGINE) up && $(ENGINE) tools vm && \
	$(VENV)/bin/pytest tests/vm -k 'bookworm or test_held'

held: venv ## hold 20,000 connections in a machine of its own, with every limit verified (`make engine` first)
	@$(ENGINE) tools vm
	$(VENV)/bin/pytest tests/vm/test_held.py

bench: venv ## run the benchmarks on this machine (`make engine` first)
	$(VENV)/bin/python -m benchmarks

bench-vm: venv ## hold 100,000 and 250,000 connections by the production stack in a machine of 8 GiB; over half an hour
	@[ $$(id -u) = 0 ] || { echo "make: building the machine needs root: run this as root (sudo make bench-vm)" >&2; exit 2; }
	@$(ENGINE) status >/dev/null 2>&1 || trap '$(ENGINE) down' EXIT; \
	trap 'exit 130' INT; trap 'exit 143' TERM; \
	$(ENGINE) up && $(ENGINE) tools vm && $(VENV)/bin/python -m benchmarks.vm

docs: venv ## write the files made from the code: docs/stack-file.md, limits.md, commands.md, stack/*.yaml, the schema
	$(VENV)/bin/python -m scripts.documents

capture: venv ## record the collector's answers of live stacks in tests/captured; CASES="NAME ..." for some (`make engine` first)
	$(VENV)/bin/python -m scripts.capture $(CASES)

pictures: engine ## draw docs/report.svg from the lab, docs/production.svg from a whole machine or PRODUCTION_PICTURE=FILE
	$(MAKE) --no-print-directory up STACK=stack/lab.yaml
	$(VENV)/bin/stackctl verify --file stack/lab.yaml --svg docs/report.svg
	@reports=$$(mktemp -d) && trap 'rm -rf "$$reports"' EXIT && picture="$(PRODUCTION_PICTURE)" && \
	if [ -z "$$picture" ]; then \
	    picture=$$reports/production-trixie.svg && \
	    STACKCTL_VM_REPORTS=$$reports $(MAKE) --no-print-directory machines; \
	fi && cp "$$picture" docs/production.svg

lock: ## update requirements.lock to the newest releases that pyproject.toml allows
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(PYTHON) -m venv "$$scratch" && \
	"$$scratch/bin/pip" install --quiet uv && \
	"$$scratch/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links --annotation-style line \
	    --output-file requirements.lock pyproject.toml && \
	echo "make: requirements.lock holds $$(grep -c '^[a-zA-Z]' requirements.lock) packages"

clean: ## remove the environment, caches and build results (not the engine: scripts/engine purge)
	rm -rf .venv dist .stackctl stack/.stackctl .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests images -name __pycache__ -type d -prune -exec rm -rf {} +

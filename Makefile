# Countersign. On a fresh clone `make demo` and `make test` are all it takes: they need
# Python 3.11 or newer, make and a package index.

SHELL := /bin/sh
PY := .venv/bin/python
UV := var/tools/bin/uv
UV_RANGE := uv>=0.9,<1
export UV_PYTHON_DOWNLOADS := never

# The first Python that is new enough; `make PYTHON=/path/to/python demo` overrides it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$p" && break; \
	done)

.DEFAULT_GOAL := help
.PHONY: help demo up test soak lint format

help: ## Say what there is
	@echo "Countersign: people decide what AI agents may do."
	@echo
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: .venv/.ready ## Run everything with demo data and sandbox systems (PORT=8123 DEMO_AGENT=0)
	@$(PY) -m config.local_env
	@echo "==> Starting web, worker, beat, sandbox systems and the scripted agent"
	@exec $(PY) manage.py up --demo

up: .venv/.ready ## Run web, worker and beat with the environment's settings
	@exec $(PY) manage.py up

test: .venv/.ready ## Run all tests, on SQLite and on PostgreSQL with Redis (ARGS="tests/api -k undo" TRIALS=200)
	@$(PY) -m tests.run $(ARGS)

soak: .venv/.ready ## Thousands of actions over every proof while everything is killed (ARGS=--embedded)
	@$(PY) -m tests.faults.soak $(ARGS)

# Settings that are safe to read code with, and a place of its own for what a check may write.
lint: export DEBUG := 1
lint: export COUNTERSIGN_VAR := $(CURDIR)/var/lint
lint: .venv/.ready ## Check style, types, import directions, migrations and settings
	@echo "==> Style (ruff)"
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@echo "==> Types (mypy, strict)"
	@.venv/bin/mypy
	@echo "==> Directions of imports (import-linter)"
	@.venv/bin/lint-imports
	@echo "==> Migrations and system checks (Django)"
	@$(PY) manage.py makemigrations --check --dry-run
	@$(PY) manage.py check
	@echo "==> All clean. Next: make test"

format: .venv/.ready ## Put the code into the house's format
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

# --- Environment: built once, rebuilt when the lock changes --------------------------------------

$(UV):
	@if [ -z "$(PYTHON)" ]; then \
		echo "Countersign needs Python 3.11 or newer. Found: $$(python3 --version 2>&1)."; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12 demo"; exit 1; fi
	@echo "==> Getting uv, which installs exactly what uv.lock names (once)"
	@rm -rf var/tools && mkdir -p var
	@"$(PYTHON)" -m venv var/tools || { \
		echo "This Python cannot make virtual environments; on Debian: apt-get install python3-venv"; \
		rm -rf var/tools; exit 1; }
	@var/tools/bin/python -m pip install --quiet --disable-pip-version-check "$(UV_RANGE)" || { \
		rm -rf var/tools; exit 1; }

# pip knows a company's mirror, credentials and certificate authority from its own settings; the
# lock's hashes make sure that what the mirror serves is what was locked.
PIP := var/tools/bin/python -m pip --disable-pip-version-check
# What runs only in CI, or for whoever says PEERS=1: real systems, clients and
# frameworks that are Python programs.
PEERS ?= $(filter 1 true,$(CI))
GROUPS := $(if $(PEERS),--group peers --group mcp --group agents)
define INSTALL_BY_PIP
$(UV) export --frozen --offline --quiet --no-emit-project $(GROUPS) -o var/locked.txt && \
	$(UV) venv --clear --offline --quiet --python "$(PYTHON)" .venv && \
	$(PIP) --python .venv/bin/python install --quiet --require-hashes --no-deps -r var/locked.txt
endef

.venv/.ready: pyproject.toml uv.lock | $(UV)
	@echo "==> Installing the locked dependencies into .venv (once per change of uv.lock)"
	@if $(PIP) config list | grep -qE '\.(index-url|no-index)='; then $(INSTALL_BY_PIP); else \
		cert=$$($(PIP) config list | sed -n "s/^.*\.cert='\(.*\)'$$/\1/p" | tail -n 1); \
		[ -z "$$cert" ] || export SSL_CERT_FILE="$${SSL_CERT_FILE:-$$cert}"; \
		$(UV) sync --locked --quiet --compile-bytecode $(GROUPS) --python "$(PYTHON)" || { \
			echo "==> Once more with pip, which knows this machine's other indexes"; \
			$(INSTALL_BY_PIP); }; fi
	@touch $@

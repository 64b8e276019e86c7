# make run · test · lint · types · layers · format · bench · soak · reasons · image · clean
#
# Each works from nothing: they make .venv and install what they need, and again only when setup.py or the version changed.
#   make test PYTHON=python3.12       another Python (3.11 to 3.13)
#   make test ARGS="-k journal -x"    more words for pytest; also for bench, soak, and run (txgatewayd's options)
#   make test ARGS="-n 0"             one test after the other, in one process

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin/python
PIP := $(BIN) -m pip --disable-pip-version-check --no-input --quiet

.PHONY: help run test lint types layers pytest format bench soak reasons image clean

help:
	@sed -n '1,6s/^# \{0,1\}//p' Makefile

run: $(VENV)/installed
	@exec $(BIN) -m txgateway $(ARGS)

test: lint types pytest

lint: $(VENV)/installed-dev
	$(BIN) -m ruff check .
	$(BIN) -m ruff format --check --quiet . || { echo "not formatted: run 'make format'" >&2; exit 1; }

types: $(VENV)/installed-dev
	$(BIN) -m mypy

layers: $(VENV)/installed-dev
	$(BIN) -m pytest tests/test_layers.py $(ARGS)

pytest: $(VENV)/installed-dev
	$(BIN) -m pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

format: $(VENV)/installed-dev
	$(BIN) -m ruff check --fix --quiet . || true
	$(BIN) -m ruff format .

bench: $(VENV)/installed-dev
	@$(BIN) -m bench $(ARGS)

soak: $(VENV)/installed-dev
	$(BIN) -m pytest -m soak -o faulthandler_timeout=1800 $(ARGS)

reasons: $(VENV)/installed
	@$(BIN) -c 'from txgateway.documents import limits, reasons; print(reasons(), limits(), sep="\n", end="")'

image:
	docker build --tag txgateway .

clean:
	rm -rf $(VENV) build dist ./*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: made last, so that an interrupted install is taken up again; one after the other, so that -j is safe.
$(VENV)/installed: setup.py txgateway/__init__.py $(VENV)/made
	@echo "installing txgateway into $(VENV)"
	$(PIP) install --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "installing what the tests need into $(VENV)"
	$(PIP) install --editable '.[dev]'
	touch $@

$(VENV)/made:
	@fits() { "$$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }
	python=
	for candidate in $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11); do
	    if fits "$$candidate"; then python=$$candidate; break; fi
	done
	if [ -z "$$python" ]; then
	    echo "txgateway needs Python 3.11, 3.12 or 3.13; $(or $(PYTHON),python3) is not one, or not there." \
	        "Install one and name it, as in 'make test PYTHON=python3.12'." >&2
	    exit 1
	fi
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then
	    package=$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
	    root=; if [ "$$(id -u)" != 0 ]; then root='sudo -n'; fi
	    if ! { command -v apt-get && $$root true; } >/dev/null 2>&1 \
	        || ! { echo "installing $$package"
	               $$root apt-get update -qq && $$root apt-get install -y -qq "$$package"; } >&2; then
	        echo "$$python has no venv module: install it (on Debian: apt-get install $$package), then try again." >&2
	        exit 1
	    fi
	fi
	"$$python" -m venv --clear $(VENV)
	touch $@

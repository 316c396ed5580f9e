# make demo   a fresh machine: installs into .venv, indexes the sample corpus, asks in three languages
# make test   a fresh machine: installs what tests need into .venv, runs them all
# make check  style, formatting and types

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check clean

demo: .venv/.installed
	$(BIN)/tongues demo --out demo-index

test: .venv/.dev
	-bash scripts/browser.sh
	$(BIN)/python -m pytest

check: .venv/.dev
	bash scripts/check.sh $(BIN)

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "manytongues needs Python 3.11 or later; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

# Editable, so that the command and the tests always run the code as it stands.
.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ .venv/.installed

clean:
	rm -rf .venv demo-index dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

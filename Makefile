# Every target needs Python 3.11 or newer and a package index, nothing else.
PYTHON ?= python3
BIN := .venv/bin
# Holds for the build back end too, so that an install in a year is today's install.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: study test lint guard tables docs clean

study: .venv/installed   ## LeNet-5 on the embedded digits: search, refit, test, table
	$(BIN)/sklenet study benchmarks/studies/digits.toml

test: .venv/installed    ## the test suite
	$(BIN)/python -m pytest

lint: .venv/installed    ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

guard: .venv/installed   ## a short fit beside the bare loop: has it become slower?
	$(BIN)/python benchmarks/measure/speed.py --guard

tables: .venv/installed  ## the documents that contain results, from the committed records
	$(BIN)/python benchmarks/documents/tables.py

docs: .venv/docs         ## the pages, with their gallery, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[plots,tests]'
	touch $@

clean:
	rm -rf .venv results build dist docs/_build docs/gallery docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

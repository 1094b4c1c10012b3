# Every target needs Python 3.11 or newer and a package index, nothing else. test-oldest
# needs 3.11 or 3.12, the only versions for which all the oldest packages have wheels.
PYTHON ?= python3
BIN := .venv/bin
OLDEST := .venv-oldest/bin
# Applies to the build back end, too, so that installations are reproducible.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# One process per core with one thread each is faster than one process with several.
PYTEST := -m pytest --numprocesses auto --dist worksteal

.PHONY: study test test-oldest lint guard tables docs clean

study: .venv/installed   ## search, train and evaluate LeNet-5 on the embedded digits
	$(BIN)/sklenet study benchmarks/studies/digits.toml

test: .venv/installed    ## the test suite
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST)

# The oldest versions are not those that constraints.txt pins, which one test checks.
test-oldest: .venv-oldest/installed  ## the test suite with the oldest versions allowed
	OMP_NUM_THREADS=1 $(OLDEST)/python $(PYTEST) \
		--deselect tests/test_packaging.py::test_every_package_is_pinned

lint: .venv/installed    ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

guard: .venv/installed   ## compare the time of a short fit with that of a plain loop
	$(BIN)/python benchmarks/measure/speed.py --guard

tables: .venv/installed  ## write the documents that contain results, from the committed records
	$(BIN)/python benchmarks/documents/tables.py

docs: .venv/docs         ## build the documentation in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[tests]'
	touch $@

# The lowest versions that pyproject.toml allows of what it names, and the newest ones of
# everything else: what these packages need in turn, and the tools of the tests.
.venv-oldest/installed: pyproject.toml
	$(PYTHON) -m venv --clear .venv-oldest
	$(OLDEST)/python -m pip install --quiet uv
	$(OLDEST)/uv pip compile --quiet --python $(OLDEST)/python \
		--resolution lowest-direct --extra dask --extra onnx --extra optuna --extra parquet \
		--extra tracking \
		--output-file .venv-oldest/lowest.txt pyproject.toml
	$(OLDEST)/uv pip install --quiet --python $(OLDEST)/python \
		--constraint .venv-oldest/lowest.txt --editable '.[tests]'
	touch $@

clean:
	rm -rf .venv .venv-oldest results build dist docs/_build docs/gallery docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Needs Python 3.11 to 3.13 and make; everything else is installed into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= constraints.txt
# Each worker takes half of the tests in their order, and whoever is done first helps the other:
# what a file's tests share is made once, and both end together.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

# Tests that neither train nor serve.
FAST := tests/ops tests/losses tests/augmentations tests/inference tests/serving/codecs \
	tests/test_architecture.py tests/test_registry.py tests/test_signatures.py \
	tests/test_storage.py tests/test_types.py tests/test_validation.py

.PHONY: demo docs test test-fast test-all test-tf221 lint clean

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "Python 3.11 to 3.13 is needed, this is %d.%d; choose one with: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade pip
	@echo "Installing into $(VENV); this takes a minute or two."
	$(BIN)/python -m pip install -qq --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

# The site, in build/site. Building and reading it need no network.
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "Read it: $(BIN)/python -m http.server -d build/site"

test: $(VENV)/.installed
	$(PYTEST)
	TF_NUM_INTRAOP_THREADS=0 $(PYTEST) tests/test_default_threads.py

test-fast: $(VENV)/.installed
	$(PYTEST) $(FAST)

test-all: $(VENV)/.installed
	$(PYTEST) -m ''
	TF_NUM_INTRAOP_THREADS=0 $(PYTEST) tests/test_default_threads.py

# The newest TensorFlow that is supported; `test` runs on the oldest.
test-tf221:
	$(MAKE) test VENV=.venv-tf221 CONSTRAINTS=constraints-tf221.txt

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .venv-tf221 build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

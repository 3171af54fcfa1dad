# Two commands matter: `make demo` and `make test`. Both set up what they need in .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PARALLEL ?= -n auto --maxprocesses 4 --dist loadfile
export MLFLOW_DISABLE_TELEMETRY = true
export DO_NOT_TRACK = true

.PHONY: help demo example test check lint types architecture test-slow test-browser test-postgres test-spark test-lowest bench package setup clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@# The demo's data: a census table shipped inside this package, read without importing it (Apache-2.0).
	$(BIN)/python -m pip install --quiet --no-deps 'nannyml==0.13.1'
	@touch $@

setup: $(VENV)/.ready ## make the virtual environment

demo: setup ## the main job on real data: train, capture, assess, report
	$(BIN)/aims demo --no-ui

example: setup ## a worked example: two systems, from aims init to gap report
	rm -rf aims-example
	$(BIN)/python examples/organisation/run.py aims-example

test: setup ## the tests (under ten minutes on two cores)
	$(BIN)/python -m pytest -m "not slow and not browser and not spark" $(PARALLEL)

check: lint types architecture test ## what CI checks

lint: setup
	$(BIN)/ruff check src tests benchmarks examples notebooks
	$(BIN)/ruff format --check src tests benchmarks examples notebooks

types: setup
	$(BIN)/mypy

architecture: setup
	$(BIN)/lint-imports

test-slow: setup ## longer proofs: parity at ten times the size, null splits, a server killed again and again
	$(BIN)/python -m pytest -m slow --timeout=1800

test-browser: setup ## pages in Debian's chromium
	$(BIN)/python -m pip install --quiet --group browser
	$(BIN)/python -m pytest -m browser

test-postgres: setup ## the gate on a PostgreSQL server that is started for it
	$(BIN)/python -m pip install --quiet --group postgres
	tests/postgres.sh $(BIN)/python -m pytest -m "postgres and not slow"

test-spark: setup ## data larger than one machine, on Spark in local mode
	$(BIN)/python -m pip install --quiet --group spark
	$(BIN)/python -m pytest -m "spark and not slow"

test-lowest: ## the tests on the lowest supported versions
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --upgrade 'pip>=25.1' uv
	$(VENV)-lowest/bin/uv pip install --quiet --python $(VENV)-lowest/bin/python --resolution lowest-direct \
	    --constraint tests/lowest-constraints.txt --editable . --group dev
	$(VENV)-lowest/bin/uv pip install --quiet --python $(VENV)-lowest/bin/python --no-deps 'nannyml==0.13.1'
	@# Old scikit-learn imports setuptools after distutils, which the setuptools of a Python 3.11 venv refuses.
	SETUPTOOLS_USE_DISTUTILS=stdlib $(VENV)-lowest/bin/python -m pytest -m "not slow and not browser and not spark" $(PARALLEL) $(LOWEST_TESTS)

bench: setup ## figures of docs/benchmarks.md
	$(BIN)/python benchmarks/run.py

package: setup ## build wheel and sdist (the tests check them)
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf $(VENV) $(VENV)-lowest dist build aims-demo aims-example screenshots .aims mlruns mlflow.db

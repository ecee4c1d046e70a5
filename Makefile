.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test test-all test-versions test-dist lint lines dist bench bench-floor bench-peers bench-quality \
  bench-data bench-practice soak docs docs-fast clean

PY := .venv/bin/python
STAMP := .venv/.installed
DOCS_STAMP := .venv/.installed-docs
PEERS_STAMP := .venv-peers/.installed
WORKERS ?= 2
SPHINX := OMP_NUM_THREADS=1 $(PY) -m sphinx --builder html --fail-on-warning --keep-going --quiet
COVERAGE := --cov=sklearn_ae --cov-branch --cov-report=term-missing:skip-covered

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export SKLEARN_AE_DATA ?= $(wildcard $(abspath ../shared/data/mnist))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## create .venv from constraints.txt (PYTHON=... picks the interpreter)

demo: $(STAMP) ## compare autoencoders with PCA and NMF on digits; pictures go to output/
	@$(PY) examples/demo.py

test: $(STAMP) ## run the fast tests in WORKERS=2 processes
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal

test-all: $(STAMP) ## run the slow tests too, with coverage
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal -m "" $(COVERAGE)

test-versions: ## run the fast tests against the oldest and the newest versions of all dependencies but torch (half an hour)
	@$(or $(PYTHON),python3) tests/try_versions.py -n $(WORKERS) --dist worksteal

lint: $(STAMP) ## check style, format and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

lines: $(STAMP) ## count the files, floors and lines of each part of the package
	@$(PY) tests/docs/test_layers.py

dist: $(STAMP) ## build the source distribution and the wheel into dist/, and check them
	@rm -rf build/lib build/bdist.* dist
	@$(PY) -m pip install --quiet --constraint constraints.txt build twine
	@$(PY) -m build --no-isolation
	@$(PY) -m twine check --strict dist/*

test-dist: dist ## use the wheel in an empty environment
	@$(PY) tests/try_wheel.py

bench: $(STAMP) ## compare speed and memory with a hand-written loop, skorch, MLPRegressor and PCA
	@$(PY) -m benchmarks.bench_speed

bench-floor: $(STAMP) ## compare steps with the minimum that they need, and measure growth; tables go to benchmarks/results/
	@for table in steps profile growth "growth durations"; do \
	  echo "$$table"; \
	  $(PY) -m benchmarks.bench_$$table > "benchmarks/results/$$(echo $$table | tr ' ' _).md" || exit 1; \
	done

bench-peers: $(PEERS_STAMP) ## compare the seconds to a given quality with other packages, in .venv-peers
	@.venv-peers/bin/python -m benchmarks.peers > benchmarks/results/peers.md

bench-quality: $(STAMP) ## measure the variants on MNIST and on tables (hours); tables go to benchmarks/results/
	@for table in "quality small" "quality mnist" "quality grid" "rules search" "rules compare" "rules ablate" "deep error" \
	  "deep neighbours" probe dead_units variational features tabular \
	  "ordered curve" "ordered search" "ordered linear" "ordered stability" "compare digits" "compare halving"; do \
	  echo "$$table"; \
	  $(PY) -m benchmarks.bench_$$table > "benchmarks/results/$$(echo $$table | tr ' ' _).md" || exit 1; \
	done

bench-data: $(STAMP) ## measure missing, sparse, streamed and distributed data, and kills; tables go to benchmarks/results/
	@for table in "data imputation" "data text" "data sparse" "data streaming" "data kinds" "cluster ddp" "cluster dask" \
	  kills; do \
	  echo "$$table"; \
	  $(PY) -m benchmarks.bench_$$table > "benchmarks/results/$$(echo $$table | tr ' ' _).md" || exit 1; \
	done

bench-practice: $(STAMP) ## compare with what practitioners use on their kinds of data; tables go to benchmarks/results/
	@for table in counts frames scatter; do \
	  echo "$$table"; $(PY) -m benchmarks.bench_practice $$table > "benchmarks/results/practice_$$table.md" || exit 1; \
	done

soak: $(STAMP) ## fit 2,000 times in one process: memory, files and threads must not pile up
	@$(PY) -m benchmarks.soak

docs: $(DOCS_STAMP) ## build the site in docs/_build/html, examples run, and check its links
	@rm -rf docs/_build docs/api/generated
	@$(SPHINX) docs docs/_build/html
	@$(PY) docs/check_site.py docs/_build/html

docs-fast: $(DOCS_STAMP) ## build the site without running the examples, and check its links
	@rm -rf docs/_build docs/api/generated
	@$(SPHINX) --define plot_gallery=0 docs docs/_build/html
	@$(PY) docs/check_site.py docs/_build/html

clean: ## remove the files that other targets made, except .venv
	@rm -rf build dist output docs/_build docs/api/backreferences docs/api/generated docs/auto_examples .coverage .coverage.* .pytest_cache .ruff_cache .mypy_cache
	@find . -path ./.venv -prune -o -name __pycache__ -exec rm -rf {} +

$(PEERS_STAMP): $(STAMP) benchmarks/peers/constraints.txt
	@$(PY) -m venv --clear .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --constraint benchmarks/peers/constraints.txt setuptools
	@.venv-peers/bin/python -m pip install --quiet --constraint benchmarks/peers/constraints.txt --no-build-isolation \
	  --editable . keras pyod tensorflow-cpu lightning
	@.venv-peers/bin/python -m pip install --quiet --constraint benchmarks/peers/constraints.txt --no-deps \
	  --ignore-requires-python encdr  # which asks for Python 3.12, and runs on 3.11
	@touch $@

# The first interpreter that runs and is new enough: the path may name versions that are not installed.
# An environment whose interpreter is older or gone, or that has no pip, is replaced.
$(STAMP): constraints.txt pyproject.toml
	@new_enough() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	if ! { new_enough $(PY) && $(PY) -c 'import pip' 2>/dev/null; }; then \
	  for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    new_enough $$python && break; python=; \
	  done; \
	  test -n "$$python" || { \
	    echo "No Python 3.11 or newer found: install one, or name it: make $(MAKECMDGOALS) PYTHON=..." >&2; exit 1; }; \
	  $$python -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$$python has no venv or ensurepip module: install them (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }; \
	  echo "Creating .venv with $$($$python --version)"; \
	  $$python -m venv --clear .venv || exit 1; \
	fi
	@echo "Installing the environment of constraints.txt (minutes, the first time)"
	@$(PY) -m pip install --quiet --constraint constraints.txt setuptools
	@$(PY) -m pip install --quiet --no-compile --constraint constraints.txt --no-build-isolation \
	  --editable ".[dev,plot,bench]"
	@$(PY) -m compileall -q -j 0 $$($(PY) -c "import sysconfig; print(sysconfig.get_path('purelib'))") >/dev/null || \
	  true  # on all cores, where pip uses one; some packages have files that do not compile
	@touch $@

$(DOCS_STAMP): $(STAMP)
	@$(PY) -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[dev,plot,bench,docs]"
	@touch $@

# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

SEED    ?= 0
MINUTES ?= 2
BUDGET  ?= quick

# Idle threads of torch sleep instead of spinning (worker/tuning.py says why): beside other busy
# processes, as the real worker and its children are in the tests, small operators took ten times
# as long.
export OMP_WAIT_POLICY ?= passive
export GOMP_SPINCOUNT ?= 1000

.PHONY: help demo test test-long check format bench docs lock licences clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

# One stamp an install, so that a newcomer's demo does not wait for the tools of the tests.
$(VENV)/.installed-all: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "Installing (torch alone is some 5 GB; a minute or two with the wheels at hand) …"
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-all
	$(PIP) --editable '.[dev]'
	@touch $@

# MLflow's server, which tests talk to and benchmarks compare with: its libraries are not ours.
.mlflow-venv/.installed:
	$(PYTHON) -m venv .mlflow-venv
	.mlflow-venv/bin/pip install --quiet --disable-pip-version-check mlflow==3.17.2
	@touch $@

# A generator of clients, whose command line wants an older typer than ours does.
.generator-venv/.installed:
	$(PYTHON) -m venv .generator-venv
	.generator-venv/bin/pip install --quiet --disable-pip-version-check openapi-python-client==0.29.1
	@touch $@

demo: $(VENV)/.installed-all  ## Watch a real model get smaller (about a minute once installed)
	@$(BIN)/modelpress demo

test: $(VENV)/.installed-dev .mlflow-venv/.installed .generator-venv/.installed  ## Run the tests
	$(BIN)/pytest -m "not long" -n 2 --dist loadfile

test-long: $(VENV)/.installed-dev .mlflow-venv/.installed .generator-venv/.installed  ## Run the long campaigns too
	$(BIN)/pytest --timeout=3600

check: $(VENV)/.installed-dev  ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml service worker tools modelpress.py
	$(BIN)/python -m tests.architecture.unsafe_loads
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev  ## Format in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev  ## List the benchmarks, or run one: make bench BENCH=job_overhead
	@$(BIN)/python -m benchmarks $(if $(BENCH),$(BENCH) --seed $(SEED) --minutes $(MINUTES) --budget $(BUDGET))

# Taken again when the pages have changed: jobs are run for them, which takes a minute or two.
# Without Chromium it says so, writes nothing, and the site has words in their place.
PAGES := $(wildcard service/web/*.py service/web/static/* service/web/templates/*)
docs/screenshots/.taken: tools/screenshots.py $(PAGES) | $(VENV)/.installed-dev
	@$(BIN)/python -m tools.screenshots

docs: $(VENV)/.installed-dev docs/screenshots/.taken  ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "Read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8080"

lock: $(VENV)/.installed-dev  ## Lock what is shipped, with hashes, after a change of constraints.txt
	$(BIN)/pip install --quiet uv==0.13.9
	$(BIN)/python -m tools.lock

licences: $(VENV)/.installed-dev  ## List the licences of all that constraints.txt pins
	$(BIN)/python -m tools.licences

clean:  ## Remove what was installed and cached
	rm -rf $(VENV) .mlflow-venv .generator-venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info

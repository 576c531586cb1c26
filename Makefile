# Needs make and Python 3.11; everything else comes from the package registry into $(VENV).
PYTHON ?= python3.11
VENV ?= .venv
MARKERS ?= not slow and not gpu and not network
PYTEST_ARGS ?=
CONFIG ?= configs/quickstart.yaml
NAME ?=
ARGS ?=

BIN := $(VENV)/bin
REQUIREMENTS := setup.cfg pyproject.toml constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt
CODE := ornament_lit datamodules callbacks tests benchmarks docs

.DEFAULT_GOAL := help
.PHONY: help install quickstart try-on demo study docs wheel test test-slow test-all check format hooks clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

install: $(VENV)/.installed ## Make the environment in .venv with the pinned dependencies

quickstart: $(VENV)/.installed ## Train the whole method on the bundled triplets (CPU, minutes)
	$(BIN)/python -m ornament_lit fit --config configs/quickstart.yaml

try-on: $(VENV)/.installed ## Put the example's earring on the example's person, with the weights that ship (CPU, seconds)
	@mkdir -p runs
	$(BIN)/python -m ornament_lit try-on --ornament examples/earring.jpg --person examples/person.jpg --box 140,260,315,500 --type earring --output runs/try-on.png

demo: $(VENV)/.installed-demo ## Open the page on which one draws the box: http://127.0.0.1:7860/ [ARGS='--checkpoint C']
	$(BIN)/python -m ornament_lit demo $(ARGS)

study: $(VENV)/.installed ## Train and test a study: NAME=ablation [CONFIG=configs/ornament.yaml] [ARGS='--seeds 0']
	@test -n "$(NAME)" || { echo "make: say NAME=..., one of $(basename $(notdir $(wildcard configs/studies/*.yaml)))"; exit 2; }
	$(BIN)/python -m ornament_lit study configs/studies/$(NAME).yaml --base $(CONFIG) $(ARGS)

docs: $(VENV)/.installed-docs ## Build the documentation into build/docs; warnings are errors
	$(BIN)/python -m sphinx -E -W --keep-going -b html docs build/docs

wheel: $(VENV)/.installed-dev ## Build the wheel into dist
	$(BIN)/python -m build --wheel

test: $(VENV)/.installed-test ## Run the fast tests
	$(BIN)/python -m pytest -m "$(MARKERS)" $(PYTEST_ARGS)

test-slow: ## Run the slow tests
	@$(MAKE) --no-print-directory test MARKERS="slow and not gpu and not network"

test-all: ## Run the fast and the slow tests
	@$(MAKE) --no-print-directory test MARKERS="not gpu and not network"

check: $(VENV)/.installed-dev ## Check style, types and the layers of imports
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

hooks: $(VENV)/.installed-dev ## Install the git hooks (see .pre-commit-config.yaml)
	$(BIN)/pre-commit install

clean: ## Remove caches and build products; runs/ and the environment stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp a set of packages: pip runs again only when a file that names packages is newer than the stamp.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: '$(PYTHON)' is not on PATH; install Python 3.11 or say PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(REQUIREMENTS) | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-demo: $(VENV)/.installed
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --editable '.[demo,docs]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[demo,docs,render,retrieval,test]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-test
	$(PIP) --editable '.[demo,dev,docs,render,retrieval,test]'
	@touch $@

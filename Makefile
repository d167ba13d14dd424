# GNU Make 3.81 and later. `make help` lists what there is.

VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
ARGS :=

# The stamp holds the folder it was made for: a checkout that was moved, or whose Python is gone, is set up anew.
ifneq ($(shell { cat $(STAMP) && $(PYTHON) -c ''; } 2>/dev/null || echo none),$(CURDIR))
.PHONY: $(STAMP)
endif

LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet $(ARGS)

# For the one platform that the function app runs on.
LOCK_FUNCTION := uv pip compile --group function-app --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	--generate-hashes --only-binary :all: --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet $(ARGS)

# A file's tests stay together, so that what they share is made once. Files go out by name: the folders with long tests first.
TWO_PROCESSES := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup run demo test bench check fix docs lock function-zip clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo '  ARGS="…" is handed on, for example: make run ARGS="--port 8081"'

setup: $(STAMP) ## make .venv with everything the other targets need

$(STAMP): pyproject.toml requirements/dev.txt requirements/setup.sh
	@sh requirements/setup.sh

run: $(STAMP) ## start the connector at http://127.0.0.1:8080, data in ./data
	@$(VENV)/bin/onelogin-connector run $(ARGS)

demo: $(STAMP) ## start it with a simulated company and its last 30 hours, data in ./data-demo
	@$(VENV)/bin/onelogin-connector run --demo $(ARGS)

test: $(STAMP) ## run the tests, in two processes (ARGS=-n0 for one)
	@$(PYTHON) -m pytest $(TWO_PROCESSES) $(ARGS)

bench: $(STAMP) ## measure, each figure beside its baseline (ARGS=--quick for a short run)
	@$(PYTHON) -m benchmarks $(ARGS)

check: $(STAMP) ## check format, lint, types, documentation and the direction of imports
	@$(PYTHON) -m ruff format --check --quiet --diff .
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m pytest --quiet tests/unit/test_docs.py tests/unit/test_architecture.py tests/unit/test_sentinel_package.py

fix: $(STAMP) ## format, and mend what the linter can mend
	@$(PYTHON) -m ruff check --quiet --fix . ; $(PYTHON) -m ruff format .

docs: $(STAMP) ## write the generated pages of docs/, and what deploy/ generates, anew
	@$(PYTHON) docs/generate.py
	@$(PYTHON) -m deploy.azure.build
	@$(PYTHON) -m deploy.sentinel.build

lock: ## resolve requirements/*.txt anew (needs uv; ARGS=--upgrade for newer versions)
	@command -v uv >/dev/null || { echo 'make lock needs uv: https://docs.astral.sh/uv' >&2; exit 1; }
	@$(LOCK) pyproject.toml -o requirements/base.txt
	@$(LOCK) pyproject.toml --extra azure -o requirements/azure.txt
	@$(LOCK) pyproject.toml --extra azure --extra function --extra dev -o requirements/dev.txt
	@$(LOCK) --group build -o requirements/build.txt
	@$(LOCK_FUNCTION) -o requirements/function.txt

function-zip: $(STAMP) ## build the package of the Azure function app in ./dist
	@$(PYTHON) deploy/azure-function/build.py

clean: ## remove .venv and caches; data stays
	@rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Every target makes what it needs: the only tools asked for are in the README.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check flows live bench docs lock

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/pressplay: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(BIN)/pressplay

$(VENV)/.dev: $(BIN)/pressplay requirements-dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

demo: $(BIN)/pressplay ## the whole pipeline on a sample app, no account needed
	$(BIN)/pressplay demo

test: $(VENV)/.dev ## every test that needs no cluster
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.dev ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

flows: $(VENV)/.dev ## the whole job, as a user does it
	$(BIN)/python -m pytest -n 2 tests/flows

live: $(VENV)/.dev ## real Argo on the cluster of KUBECONFIG: the corpus anew, then the pipeline
	$(BIN)/python tools/differ.py --record
	$(BIN)/python -m pytest tests/live

bench: $(BIN)/pressplay ## the figures, each next to its reference
	for each in bench/[!_]*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

docs: $(VENV)/.dev ## the reference that is made from the code
	$(BIN)/python tools/reference.py docs/reference
	$(BIN)/python tools/differ.py --report

lock: ## pin every dependency with hashes, naming no index
	uv pip compile pyproject.toml --extra toolchain-python --group build --generate-hashes --universal --no-header --no-emit-index-url --no-annotate -o requirements.txt
	uv pip compile pyproject.toml --extra toolchain-python --group build --group dev --generate-hashes --universal --no-header --no-emit-index-url --no-annotate -c requirements.txt -o requirements-dev.txt

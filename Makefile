# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
PYTHON := .venv/bin/python
# How many tests run at once; the machines we know have two cores.
JOBS ?= 2

.PHONY: help setup demo test check lint types imports generated bench lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## make .venv and install Azurite, if they are not current
	@sh local/setup.sh

demo: setup ## watch a queue fill and an endpoint being scaled; ARGS="--once", ARGS="--trace FILE"
	@$(PYTHON) -m local.demo $(ARGS)

test: setup ## run the tests; ARGS="tests/decisions -k name"
	@$(PYTHON) -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

check: setup lint types imports generated ## lint, types, import contract, generated files

lint:
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .

types:
	@$(PYTHON) -m mypy

imports:
	@.venv/bin/lint-imports

generated: ## write the generated pages and schemas, and fail if git sees a difference
	@$(PYTHON) -m shared.assumptions >/dev/null && $(PYTHON) -m shared.policy docs >/dev/null
	@git diff --exit-code --stat -- docs/assumptions.md docs/policy.md infra/policies/policy.schema.json \
	  || { echo "The files above are generated: commit them as they are now."; exit 1; }

bench: setup ## print the figures of bench/ (see bench/README.md)
	@$(PYTHON) -m bench.cold_start && $(PYTHON) -m bench.reaction

lock: setup ## pin again what pyproject.toml asks for (needs uv)
	@uv pip compile -q --universal --generate-hashes --no-header pyproject.toml -o requirements.txt
	@uv pip compile -q --universal --generate-hashes --no-header pyproject.toml --group dev -o requirements-dev.txt

clean: ## remove what was installed and cached
	rm -rf .venv local/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
PYTHON := .venv/bin/python
# How many tests run at once; the machines we know have two cores.
JOBS ?= 2
# Of `make torture`: how often the app is killed, and by which lot.
KILLS ?= 300
SEED ?= 1

.PHONY: help setup demo test check lint types imports generated arbitration-docs torture bench bench-sweep bench-scaling histories lock clean

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

histories: setup ## record the golden histories of the orchestrations anew
	@rm -f tests/histories/golden/*.json
	@WATCHKEEPER_RECORD_HISTORIES=1 $(PYTHON) -m pytest tests/virtual/test_histories.py
	@git status --short tests/histories/golden
arbitration-docs: ## explore arbitration's small models and write docs/arbitration.md (half a minute)
	@$(PYTHON) -m tests.decisions.explore

torture: setup ## what takes too long for every run; a page that it changes is to be committed; SEED=1 KILLS=300
	@$(PYTHON) -m tests.decisions.explore --large
	@$(PYTHON) -m tests.virtual.kills --kills $(KILLS) --seed $(SEED) --log kills.log
	@WATCHKEEPER_TORTURE=1 $(PYTHON) -m pytest -s --show-capture=no tests/virtual/test_storm.py tests/virtual/test_faults.py \
	  tests/virtual/test_soak.py

bench: setup ## print the figures of bench/ (see bench/README.md)
	@$(PYTHON) -m bench.cold_start && $(PYTHON) -m bench.reaction

bench-sweep: setup ## what a sweep costs as the estate grows (20 minutes); ARGS="--targets 1000"
	@$(PYTHON) -m bench.sweep $(ARGS)

bench-scaling: setup ## scaling against its peers and the limit, a plot a workload (hours); ARGS="--quick", ARGS="--results DATE"
	@$(PYTHON) -m bench.scaling --plots bench/scaling/plots $(ARGS)

lock: setup ## pin again what pyproject.toml asks for (needs uv)
	@uv pip compile -q --universal --generate-hashes --no-header pyproject.toml -o requirements.txt
	@uv pip compile -q --universal --generate-hashes --no-header pyproject.toml --group dev -o requirements-dev.txt

clean: ## remove what was installed and cached
	rm -rf .venv local/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

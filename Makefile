# PDIC. `make` lists what there is.
# Wants git, make and python 3.11, 3.12 or 3.13; everything else is fetched into .venv, pinned by hash.

BIN := .venv/bin
READY := .venv/.ready
CITIZENS ?= 20000
SEED ?= 44
KILLS ?= 100

# Airflow and dbt start many Python processes: without cached bytecode each would compile for seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up down init test quality-eval test-histories test-kills test-compose lint lint-types lint-models format bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: CITIZENS=$(CITIZENS) SEED=$(SEED) (demo), PYTHON=… (setup), PDIC_HOME=… (where data, logs and secrets go)"

setup: $(READY) ## Make .venv with all that is pinned; again only where the pins changed

$(READY): requirements.lock requirements-uv.lock pyproject.toml scripts/setup
	@PYTHON='$(PYTHON)' scripts/setup
	@touch $@

demo: $(READY) ## Make a synthetic province, load and release it by a real Airflow scheduler
	@$(BIN)/pdic demo run --citizens $(CITIZENS) --seed $(SEED)

up: $(READY) ## Start the embedded PostgreSQL and Airflow
	@$(BIN)/pdic up

down: $(READY) ## Stop them
	@$(BIN)/pdic down

init: ## Make the secrets and .env that docker-compose.yml wants; what is there stays
	@$(or $(PYTHON),python3) scripts/init

test: $(READY) ## Run every test: unit, DAGs, integration, end to end; two files at a time
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

quality-eval: $(READY) ## Hold the gate against the truth of a seeded province: which defects it catches (SEED=, CITIZENS=, PROFILE=)
	@$(BIN)/python -m demo.evaluate --citizens $(CITIZENS) --seed $(SEED) $(if $(PROFILE),--profile '$(PROFILE)') $(ARGS)

test-histories: $(READY) ## Random histories: of the sources through many releases, of slow writers against loads (minutes more)
	@$(BIN)/python -m pytest -m histories $(ARGS)

test-kills: $(READY) ## Kill any process at random moments of load, release, reconcile, rollback (KILLS=100 SEED=7; 20 s a kill)
	@KILLS='$(KILLS)' SEED='$(SEED)' $(BIN)/python -m pytest -m kills tests/faults/test_random_kills.py $(ARGS)

test-compose: $(READY) ## Build and boot docker-compose.yml: two workers, one killed, to a published release (needs a Docker engine)
	@$(BIN)/python -m pytest -m compose tests/compose $(ARGS)

lint: $(READY) ## Check style, types, SQL, and that generated files follow from the contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint-types lint-models
	$(BIN)/pdic contracts compile --check

lint-types: $(READY)
	$(BIN)/mypy

lint-models: $(READY)
	@mkdir -p dbt_project/target
	$(BIN)/python -m pdic.onboard.written > dbt_project/target/written
	xargs -0 -r -a dbt_project/target/written $(BIN)/sqlfluff lint --processes 2

format: $(READY) ## Put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Measure (docs/ tells what was measured where)
	@$(BIN)/python -m benchmarks $(ARGS)

lock: $(READY) ## Resolve the dependencies of pyproject.toml anew; versions that still fit stay
	.venv/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--extra dev pyproject.toml --output-file requirements.lock

clean: ## Stop what runs here and delete .pdic (all data of the demo!) and caches; .venv stays
	@if [ -x $(BIN)/pdic ] && [ -d .pdic ]; then env -u PDIC_HOME $(BIN)/pdic down >/dev/null; fi
	rm -rf .pdic .mypy_cache .ruff_cache .pytest_cache .hypothesis dbt_project/target dbt_project/logs

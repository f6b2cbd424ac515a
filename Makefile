# Everything a developer or an operator starts; `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help run demo dev test check format bench translations

PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/installed ## Serve on HOST:PORT (127.0.0.1:8000), making what is missing first
	@exec $(BIN)/python manage.py serve

demo: .venv/installed ## Make labelled demo accounts with a history, and print their passwords
	@$(BIN)/python manage.py demo

test: dev ## Run every test on PostgreSQL with Redis, then on SQLite
	$(BIN)/python -m pytest --database postgres -n $(JOBS) $(ARGS)
	$(BIN)/python -m pytest --database sqlite -n $(JOBS) $(ARGS)

check: dev ## Format, lint, types, layers, migrations, templates, translations, deployment
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py compile_templates
	$(BIN)/python manage.py translations --check
	$(BIN)/python -m config.testing.deployment

format: dev ## Bring every file into the one format
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

translations: dev ## Bring locale/ up to date with what the code and templates say
	$(BIN)/python manage.py translations

bench: dev ## Measure this server beside a raw proxy (ARGS="--quick" for a short run)
	$(BIN)/python -m benchmarks.run $(ARGS)

dev: .venv/installed-dev

# The stamps are newer than the requirements they satisfy: a second start asks nobody.
.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tertulia needs Python 3.11 or newer: make run PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing what requirements.txt names; this happens once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	@echo "Installing what requirements-dev.txt names; this happens once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

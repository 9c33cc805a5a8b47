# Every target sets up what it needs: a virtual environment in .venv, made once and kept current.
# Name another interpreter with PYTHON=..., pass arguments on with ARGS=...

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types unit test-faults soak reliability mutate coverage wheels audit test-slow test-lowest test-aws test-s3 test-ray test-peers format docs bench web kernel clean

PYTHON ?=
ARGS ?=
environment := PYTHON='$(PYTHON)' scripts/environment
bin := .venv/bin
step := scripts/step

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## Fit, save, serve and query 180,000 generated wines
	@$(environment) run
	@$(bin)/kneighbors demo $(ARGS)

test: lint types unit ## Run all checks: lint, types and tests

check: test ## The same, before you hand in a change

lint: ## Check style and formatting
	@$(environment) test
	@$(step) 'ruff check' $(bin)/ruff check .
	@$(step) 'ruff format' $(bin)/ruff format --check .

types: ## Check types
	@$(environment) test
	@$(step) mypy $(bin)/mypy

unit: ## Run the tests only
	@$(environment) test
	@$(step) pytest $(bin)/python -m pytest -n 2 -m 'not slow and not faults' $(ARGS)

test-faults: ## Let disks, networks and processes fail on purpose, at every call (four minutes)
	@$(environment) test
	@$(step) pytest $(bin)/python -m pytest -n 2 -m 'faults and not slow' tests/faults $(ARGS)

soak: ## The long form: reloads, kills and faults under load; ARGS='--minutes 60'
	@$(environment) test
	@$(bin)/python scripts/soak $(ARGS)

reliability: ## Run the faults, count what they try, and write the page on reliability (five minutes)
	@$(environment) test
	@$(step) reliability $(bin)/python scripts/reliability.py faults $(ARGS)

mutate: ## Mutation-test the gate and write the score into the page on reliability (five minutes)
	@$(environment) test
	@$(step) mutate $(bin)/python scripts/mutate.py

coverage: ## Measure the coverage of search, artifact and formats by their own tests
	@$(environment) test
	@$(step) coverage $(bin)/python scripts/reliability.py coverage $(ARGS)

wheels: ## Check that every dependency has a wheel for every supported platform
	@$(environment) test
	@$(step) wheels $(bin)/python scripts/wheels.py

audit: ## Ask the database of known vulnerabilities about the dependencies (needs the network)
	@$(environment) test
	@test -x .venv-audit/bin/pip-audit || { python3 -m venv --clear .venv-audit && \
		.venv-audit/bin/pip install -q pip-audit; }
	@$(step) pip-audit sh -c '$(bin)/pip freeze --exclude-editable > .venv-audit/installed && \
		.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r .venv-audit/installed'

test-slow: ## Run all tests, the slow ones too
	@$(environment) test
	@$(step) pytest $(bin)/python -m pytest -n 2 --timeout 3600 $(ARGS)

test-lowest: ## Run the tests with the oldest versions that are supported
	@$(environment) lowest
	@$(step) pytest .venv-lowest/bin/python -m pytest -n 2 -m 'not slow and not faults' $(ARGS)

test-aws: ## Run our models and programs on AWS's own code, in environments of its own (2.5 GB)
	@$(environment) test
	@PYTHON='$(PYTHON)' scripts/stacks
	@$(step) pytest $(bin)/python -m pytest -n 2 --dist loadfile tests/aws $(ARGS)

test-s3: ## Run what speaks S3 on Ceph's gateway, a real server (0.2 GB below .ceph)
	@$(environment) test
	@scripts/ceph
	@KNEIGHBORS_S3_SERVER=ceph $(step) pytest $(bin)/python -m pytest -n 2 --dist loadfile \
		tests/storage/test_s3.py tests/generations/test_s3.py tests/generations/test_shards.py tests/storage/test_real_s3.py tests/corpus/test_s3_corpus.py $(ARGS)

test-ray: ## Run the cluster's tests on Ray's own nodes, on the loopback
	@$(environment) test
	@KNEIGHBORS_TEST_RAY=1 $(step) pytest $(bin)/python -m pytest tests/cluster $(ARGS)

test-peers: ## Hold the evaluation's figures against RecTools and ranx, in an environment of their own (0.7 GB)
	@$(environment) test
	@test -x .venv-peers/bin/whole || { python3 -m venv --clear .venv-peers && \
		.venv-peers/bin/pip install -q -r tests/evaluate/peers/requirements.txt && \
		ln -s python .venv-peers/bin/whole; }
	@$(step) pytest $(bin)/python -m pytest tests/evaluate/test_peers.py $(ARGS)

format: ## Format the code, and mend what can be mended
	@$(environment) test
	@$(bin)/ruff check --fix .
	@$(bin)/ruff format .

docs: ## Build the documentation into site/
	@$(environment) docs
	@$(step) mkdocs $(bin)/mkdocs build --strict $(ARGS)

bench: ## Compare speed with the peers, the short form (ten minutes; the first time two more)
	@$(environment) bench
	@$(step) benchmarks .venv-bench/bin/python benchmarks/short.py $(ARGS)

web: ## Build the explorer's page from web/ with npm; ARGS=--check only compares
	@$(step) explorer scripts/explorer $(ARGS)

kernel: ## Build the search's compiled kernel with Zig's compiler; ARGS=--check only compares
	@$(step) kernel scripts/kernel $(ARGS)

clean: ## Remove environments, caches and what was built
	@rm -rf .venv .venv-lowest .venv-bench .venv-peers .venv-join-peers .venv-mutation .venv-audit .venv-kernel .venv-aws-* .venv*.lock build dist site .hypothesis
	@rm -rf .mypy_cache .pytest_cache .ruff_cache
	@find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

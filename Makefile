# The three commands of every day: make demo, make run, make test. `make help` names all.

PYTHON ?= $(or $(shell command -v python3.11),python3)
PORT ?= 8000
KEEP ?= 1
JOBS ?= 2
VENV := .venv/bin/python
export PORT

# A PORT, KEEP or JOBS in front of `make` works as well as behind it.
.PHONY: help demo run test test-fast bench-queue bench-queue-faults bench-reward-model bench-curation bench-export bench-sample bench-round bench-train lint format lock clean packages packages-dev
.DEFAULT_GOAL := help

help:
	@echo "make demo        the whole loop with real parts, then the app in the browser (KEEP=0 ends after the table)"
	@echo "make run         the app: web, workers, bundled PostgreSQL; Ctrl-C ends all (PORT=8000)"
	@echo "make test        every test (JOBS=2 at once; those that want the whole machine alone)"
	@echo "make test-fast   without the slow ones and without a browser"
	@echo "make bench-queue how fast the queue is, at up to 1,000,000 comparisons (SIZES, CLIENTS, CYCLES)"
	@echo "make bench-queue-faults   100,000 judgments while leases run out and workers are killed (JUDGMENTS)"
	@echo "make bench-reward-model   real preferences through a reward model, beside looking at length (TRAIN, HELD_OUT, DATA)"
	@echo "make bench-curation   rows a second and memory a row of each filter over prompts (ROWS)"
	@echo "make bench-export   a million judged pairs as every layout: rows a second, memory (SIZE, LAYOUTS, TYPES)"
	@echo "make bench-sample   our sampling beside raw vLLM's: tokens a second, start, memory (PROMPTS, REPEATS)"
	@echo "make bench-round   a whole round of the demo: where its wall time goes, beside the pure work (PROMPTS, RECIPE)"
	@echo "make bench-train   our training on whole rankings beside TRL's, and whether it computes the same (QUICK, KINDS, KS, SHAPES, LENGTH, STEPS, MODEL_SIZE, TRY)"
	@echo "make lint        style, layers, templates, missing migrations"
	@echo "make format      apply the style"
	@echo "make lock        write requirements/cpu.lock and dev.lock from this environment"
	@echo "make clean       remove .venv and caches; var/, with your data, stays"

packages:
	@$(PYTHON) config/bootstrap.py

packages-dev:
	@$(PYTHON) config/bootstrap.py --dev

demo: packages
	@$(VENV) manage.py serve --then "demo --url http://127.0.0.1:$(PORT)" $(if $(filter 0,$(KEEP)),--exit-after)

run: packages
	@$(VENV) manage.py serve

# Some slow tests start engines that want the whole machine: those come one at a time.
test: test-fast
	$(VENV) -m pytest -n $(JOBS) -m "browser and not slow" --timeout 300
	$(VENV) -m pytest -n $(JOBS) -m "slow and not whole_machine" --timeout 900
	$(VENV) -m pytest -m whole_machine --timeout 900

test-fast: packages-dev
	$(VENV) -m pytest -n $(JOBS) -m "not slow and not browser" --timeout 300

# On a quiet machine: both want every core. They use a database of their own and write var/bench/queue.json.
bench-queue: packages-dev
	$(VENV) -m tests.bench.queue $(if $(SIZES),--sizes $(SIZES)) $(if $(CLIENTS),--clients $(CLIENTS)) \
		$(if $(CYCLES),--cycles $(CYCLES))

bench-queue-faults: packages-dev
	$(VENV) -m tests.bench.faults $(if $(JUDGMENTS),--judgments $(JUDGMENTS))

# About ten minutes. The sets are no part of the project: they are read from ../shared/data, or from DATA.
bench-reward-model: packages-dev
	$(VENV) -m tests.bench.reward_model $(if $(TRAIN),--train $(TRAIN)) $(if $(HELD_OUT),--held-out $(HELD_OUT)) \
		$(if $(DATA),--data $(DATA))

# Each filter alone, in a process of its own; writes var/bench/curation.json.
bench-curation: packages-dev
	$(VENV) -m tests.bench.curation $(if $(ROWS),--rows $(ROWS))

# On a quiet machine. About a quarter of an hour for a million; a database of its own; writes var/bench/export.json.
bench-export: packages-dev
	$(VENV) -m tests.bench.export $(if $(SIZE),--size $(SIZE)) $(if $(LAYOUTS),--layouts $(LAYOUTS)) \
		$(if $(TYPES),--types $(TYPES))

# On a quiet machine, about ten minutes: three engines, one at work at a time; writes var/bench/sample.json.
bench-sample: packages-dev
	$(VENV) -m tests.bench.sample $(if $(PROMPTS),--prompts $(PROMPTS)) $(if $(REPEATS),--repeats $(REPEATS))

# On a quiet machine, about five minutes for 24 prompts, the demo's own 200 a quarter of an hour; a database of its own;
# writes var/bench/round.json.
bench-round: packages-dev
	$(VENV) -m tests.bench.round $(if $(PROMPTS),--prompts $(PROMPTS)) $(if $(RECIPE),--recipe $(RECIPE))

# On a quiet machine, about a quarter of an hour; QUICK=1 three minutes; MODEL_SIZE=1b LENGTH=2048 on a GPU. Writes
# var/bench/train.json.
bench-train: packages-dev
	$(VENV) -m tests.bench.train $(if $(QUICK),--quick) $(if $(KINDS),--kinds $(KINDS)) $(if $(KS),--ks $(KS)) \
		$(if $(SHAPES),--shapes $(SHAPES)) $(if $(LENGTH),--length $(LENGTH)) $(if $(STEPS),--steps $(STEPS)) \
		$(if $(RANKINGS),--rankings $(RANKINGS)) $(if $(MODEL_SIZE),--model-size $(MODEL_SIZE)) $(if $(TRY),--try '$(TRY)')

lint: packages-dev
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) -m mypy --strict docs/client/whetstone.py
	$(VENV) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	$(VENV) -m djlint templates --check --quiet
	$(VENV) -m djlint templates --lint --quiet
	$(VENV) manage.py makemigrations --check --dry-run

format: packages-dev
	$(VENV) -m ruff check --fix .
	$(VENV) -m ruff format .
	$(VENV) -m djlint templates --reformat --quiet || true

lock:
	$(VENV) requirements/lock.py

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path "./var/*" -prune -exec rm -rf {} +

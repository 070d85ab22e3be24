# The front door: each target is a thin call of the `harness` command.

# `make repro SHELL=1` asks for a shell in the phase that failed; make itself would take the
# variable for its own shell.
WANT_SHELL := $(filter 1,$(value SHELL))
override SHELL := /bin/sh

# A value is text: make would run the command in a `$(shell ...)` of it, and eat the `$` of a path,
# here and on its way into an environment. None is expanded: neither what the command line sets,
# under whatever name, nor an option from the environment.
OPTIONS := GPU REPEAT ENGINE FLAVORS FAMILIES SCENARIOS DEPTH ALL SHARE JOBS KEEP STRICT N RUN REPORTS \
  ACTIVATIONS_MIB BASELINE BASE CASE LAST OUTPUT REBUILD FORCE FLAVOR SCENARIO SEED PROVIDERS \
  LMS_PROVIDER LMS_PATH LMS_PARAMS DATA_DIR PYTHON \
  PACKAGE GOOD BAD CHECK MESSAGE FIXED VERSIONS \
  RESUME FAILED SHARD DURATIONS DIRS KIND SHARDS
set_by = $(filter command environment,$(firstword $(origin $(1))))
typed := $(foreach name,$(.VARIABLES),$(if $(filter command,$(call set_by,$(name))),$(name)))
$(foreach name,$(typed) $(OPTIONS),$(if $(call set_by,$(name)),\
  $(eval override $(name) := $$(value $(name)))))

PYTHON ?= python3
VENV := .venv
HARNESS := $(VENV)/bin/harness
READY := $(VENV)/.ready

# Options travel as environment variables, so that no value is ever read by a shell either.
export HARNESS_GPU = $(GPU)
export HARNESS_ENGINE = $(ENGINE)
export HARNESS_FLAVORS = $(FLAVORS)
export HARNESS_FAMILIES = $(FAMILIES)
export HARNESS_SCENARIOS = $(SCENARIOS)
export HARNESS_DEPTH = $(DEPTH)
export HARNESS_ALL = $(ALL)
export HARNESS_SHARE = $(SHARE)
export HARNESS_JOBS = $(JOBS)
export HARNESS_KEEP = $(KEEP)
export HARNESS_STRICT = $(STRICT)
export HARNESS_RUN = $(RUN)
export HARNESS_ACTIVATIONS_MIB = $(ACTIVATIONS_MIB)
export HARNESS_REPORTS = $(REPORTS)
export HARNESS_PROVIDERS = $(PROVIDERS)
export HARNESS_BASELINE = $(BASELINE)
export HARNESS_LAST = $(LAST)
export HARNESS_OUTPUT = $(OUTPUT)
export HARNESS_FORCE = $(FORCE)
export HARNESS_REBUILD = $(REBUILD)
export HARNESS_REPEATS = $(N)
export HARNESS_REPEAT = $(REPEAT)
export HARNESS_SHELL = $(WANT_SHELL)
export HARNESS_PACKAGE = $(PACKAGE)
export HARNESS_GOOD = $(GOOD)
export HARNESS_BAD = $(BAD)
export HARNESS_CHECK = $(CHECK)
export HARNESS_MESSAGE = $(MESSAGE)
export HARNESS_FIXED = $(FIXED)
export HARNESS_VERSIONS = $(VERSIONS)
export HARNESS_SHARDS = $(SHARDS)
export HARNESS_RESUME = $(RESUME)
export HARNESS_FAILED = $(FAILED)
export HARNESS_SHARD = $(SHARD)
export HARNESS_DURATIONS = $(DURATIONS)
export HARNESS_DIRS = $(DIRS)
export LMS_PROVIDER LMS_PATH LMS_PARAMS DATA_DIR FLAVOR SCENARIO SEED RUN BASE CASE KIND PYTHON

.DEFAULT_GOAL := help
.PHONY: help matrix merge soak soak-faults repro proof bisect sensitivity list describe defects ci-generate doctor images lock data report open compare baseline history clean test lint bench

help: ## show this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

matrix: $(READY) ## run the matrix: GPU=0 ENGINE=docker FLAVORS=a,b FAMILIES=… SCENARIOS='train*' DEPTH=full PROVIDERS=a,b SHARE=0 JOBS=2 STRICT=1 BASELINE=…; RESUME=… FAILED=… SHARD=2/5
	@$(HARNESS) run

merge: $(READY) ## make one run of shards: DIRS='shard-1 shard-2' [REPORTS=…] [BASELINE=…]
	@$(HARNESS) merge

soak: $(READY) ## run the same plan N times and count what differs: N=20 [FLAVORS=… FAMILIES=… SCENARIOS=…]
	@$(HARNESS) soak

soak-faults: $(READY) ## kill runs at random, and look at what the next run recovers: N=200 [SEED=…] [ENGINE=venv]
	@$(VENV)/bin/python -m tests.kills

repro: $(READY) ## one scenario by hand: FLAVOR=… SCENARIO=… [GPU=0] [SHELL=1] [REPEAT=20]
	@$(HARNESS) repro -- "$$FLAVOR" "$$SCENARIO"

proof: $(READY) ## prove on a GPU that a case swaps: FLAVOR=… SCENARIO=… GPU=0
	@$(HARNESS) prove -- "$$FLAVOR" "$$SCENARIO"

bisect: $(READY) ## which release broke a case: PACKAGE=… GOOD=… BAD=… FLAVOR=… SCENARIO=… [CHECK=…] [FIXED=1]
	@$(HARNESS) bisect

sensitivity: $(READY) ## inject faults into the provider: which check catches which: FLAVORS=… SCENARIOS='lost-5-*'
	@$(HARNESS) sensitivity

list: $(READY) ## the plan; ALL=1 with the pairs that can never apply
	@$(HARNESS) list

describe: $(READY) ## one scenario in full: SCENARIO=…
	@$(HARNESS) describe -- "$$SCENARIO"

defects: $(READY) ## what a release itself does wrong, and where it was measured: [RUN=…]
	@$(HARNESS) defects

ci-generate: $(READY) ## a file that runs the matrix in shards elsewhere: KIND=slurm|jenkins|kubernetes|github|gitlab [SHARDS=4] [GPU=none] [OUTPUT=…]
	@$(HARNESS) ci-generate -- "$$KIND"

doctor: $(READY) ## what this machine can and cannot run
	@$(HARNESS) doctor

images: $(READY) ## build every image
	@$(HARNESS) images

lock: $(READY) ## refresh the pins
	@$(HARNESS) lock

data: $(READY) ## download the real data sets
	@$(HARNESS) data

report: $(READY) ## rebuild every report of a run: RUN=…
	@$(HARNESS) report -- "$$RUN"

open: $(READY) ## open a run's page in a browser, the newest one's or RUN=…
	@$(HARNESS) open -- "$$RUN"

compare: $(READY) ## what is another in a run than in an earlier one, or in an accepted baseline: BASE=… RUN=…
	@$(HARNESS) compare -- "$$BASE" "$$RUN"

baseline: $(READY) ## keep a run as a small file that later runs are compared with: RUN=… [OUTPUT=baseline.json] [FORCE=1]
	@$(HARNESS) baseline accept -- "$$RUN"

history: $(READY) ## verdicts and numbers over runs: [CASE=…] [LAST=20] [REBUILD=1]
	@$(HARNESS) history $(if $(CASE),-- "$$CASE")

clean: $(READY) ## remove our containers, images and environments, and nothing else
	@$(HARNESS) clean

test: $(READY) ## the tests that matter most, about five minutes; ALL=1: every one
	@$(VENV)/bin/python -m pytest $(if $(filter 1,$(ALL)),-m "")

lint: $(READY) ## ruff and mypy
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

bench: $(READY) ## the benchmarks
	@$(VENV)/bin/python benchmarks/all.py

# An environment whose interpreter is gone, as after an update of the system's Python or a move of the
# checkout, is made again. The driver names its interpreter in its first line.
BROKEN := $(shell test ! -e $(READY) || { \
  { test -e $(VENV)/bin/python3 || test ! -L $(VENV)/bin/python3; } && \
  "$$(sed -n '1s/^\#! *//p' $(HARNESS))" -c ''; } >/dev/null 2>&1 || echo broken)
ifneq ($(BROKEN),)
.PHONY: $(READY)
endif

# The driver's own environment, from hash-locked pins. ensurepip is missing where a distribution
# packs it apart, and then one line says what to install.
$(READY): requirements.txt pyproject.toml
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "make: $$PYTHON is older than Python 3.10; set PYTHON=/path/to/python3.10 or later"; exit 1; }
	@"$$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: $$PYTHON has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(if $(BROKEN),echo "make: $(VENV) is broken: the interpreter of $(HARNESS) does not run")
	@echo "make: installing the harness into $(VENV) (once)"
	@"$$PYTHON" -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# make env    the environment, in .venv
# make test   environment, checks, tests
# make soak   long tests: many kills, whole footage
# make demo   environment, a board of the bundled model, warp and the controls

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3,$(shell command -v $(name))))
BIN := .venv/bin
PACKAGES := talkingpose curation benchmark baselines leaderboard

.PHONY: env test check unit soak format docs demo clean
.DELETE_ON_ERROR:

env: .venv/.complete

.venv/.complete: requirements.lock pyproject.toml .ci/machine.py
	@$(if $(PYTHON),,echo "make: no Python: install python3.11 or python3.12 (Debian, Ubuntu: python3)"; exit 1;) \
	$(PYTHON) .ci/machine.py before
	@echo "This takes about five minutes and 8 GB of disk, most of them for PyTorch."
	@test -x $(BIN)/python || { echo "1 of 3: making .venv"; $(PYTHON) -m venv .venv; }
	@echo "2 of 3: installing the packages of requirements.lock"
	@$(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --requirement requirements.lock
	@echo "3 of 3: installing the project and trying the packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python .ci/machine.py after
	@touch $@

test: check unit

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pip check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Two workers on two cores; the tests of a file stay together because they share expensive fixtures.
unit: env
	@echo "long tests are not part of this: make soak"
	$(BIN)/pytest -n 2 --dist loadfile --durations=25

# Long tests: many kills, the whole footage with the real models.
soak: env
	$(BIN)/pytest -n 2 --dist loadfile -m soak

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation as a site in work/docs; a broken link fails.
docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# A short part of the bundled dataset (protocol tp-demo@2): minutes on two cores.
DEMO_CONTROLS := ground-truth frozen reencode lag drift flicker late-blur
# The models need weights: those of the project, or others: `make demo CHECKPOINT=FOLDER`.
CHECKPOINT ?= $(wildcard talkingpose/checkpoints/tiny)
DEMO_MODELS := $(if $(CHECKPOINT),talkingpose open-loop fresh-noise)
DEMO_WEIGHTS = $(if $(filter $@,$(DEMO_MODELS)),--checkpoint $(CHECKPOINT))
DEMO_RUNS := $(DEMO_MODELS) warp $(DEMO_CONTROLS)
# Contestants at a time, each on one core.
DEMO_JOBS ?= 2

.PHONY: $(DEMO_RUNS) demo-runs
$(DEMO_RUNS): env
	@echo "begin  $@"
	@mkdir -p work/demo; OMP_NUM_THREADS=1 $(BIN)/tp-eval --model $@ --dataset benchmark/data/tp-mini \
	    --protocol tp-demo@2 $(DEMO_WEIGHTS) --out work/demo/runs/$@ > work/demo/$@.log 2>&1 \
	    || { cat work/demo/$@.log; exit 1; }
	@echo "done   $@"

demo-runs: $(DEMO_RUNS)

demo: env
	@echo "$(words $(DEMO_RUNS)) contestants, $(DEMO_JOBS) at a time; their output is in work/demo/NAME.log"
	@$(MAKE) --no-print-directory -j $(DEMO_JOBS) demo-runs
	@echo
	@$(BIN)/tp-leaderboard $(addprefix work/demo/runs/,$(DEMO_RUNS)) --out work/demo/site
	@echo
	@$(if $(DEMO_MODELS),,echo "No model on it: talkingpose/checkpoints/tiny is missing. With other weights: make demo CHECKPOINT=FOLDER")
	@echo "The report:  work/demo/site/index.html"

clean:
	rm -rf .venv work

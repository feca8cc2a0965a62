# make env    the environment, in .venv
# make test   environment, checks, tests
# make demo   environment, the main job on what the project ships, the report

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3,$(shell command -v $(name))))
BIN := .venv/bin
PACKAGES := talkingpose curation benchmark baselines leaderboard

.PHONY: env test check unit demo clean
.DELETE_ON_ERROR:

env: .venv/.complete

.venv/.complete: requirements.lock pyproject.toml .ci/machine.py
	@$(if $(PYTHON),,echo "make: no Python: install python3.11 or python3.12 (Debian, Ubuntu: python3)"; exit 1;) \
	$(PYTHON) .ci/machine.py before
	@test -x $(BIN)/python || { echo "making .venv"; $(PYTHON) -m venv .venv; }
	@echo "installing the packages of requirements.lock (a few minutes, some gigabytes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
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

# Two workers on two cores; a file's tests stay together because they share fixtures that are dear to make.
unit: env
	$(BIN)/pytest -n 2 --dist loadfile

# What the demo takes of tp-mini's test split: minutes on two cores.
DEMO_PART := --limit 3 --max-frames 120
DEMO_MODELS := talkingpose open-loop fresh-noise
DEMO_CONTROLS := ground-truth frozen reencode
# Another checkpoint than the bundled one: `make demo CHECKPOINT=FOLDER`.
CHECKPOINT := tiny

demo: env
	@for model in $(DEMO_MODELS) $(DEMO_CONTROLS); do \
	    echo; echo "== $$model"; \
	    case " $(DEMO_MODELS) " in *" $$model "*) weights="--checkpoint $(CHECKPOINT)";; *) weights=;; esac; \
	    $(BIN)/tp-eval --model $$model $$weights $(DEMO_PART) --out work/demo/runs/$$model > /dev/null || exit $$?; \
	done
	@echo
	@$(BIN)/tp-leaderboard work/demo/runs/* --out work/demo/site
	@echo
	@echo "The report:  work/demo/site/index.html"
	@echo "The videos:  work/demo/runs/talkingpose/videos, beside what they should be in ground-truth/videos"

clean:
	rm -rf .venv work

# The two commands of the README: `make study` and `make test`. Both set up .venv first, once.
#
#   PYTHON=python3.12    interpreter to build .venv with (3.11, 3.12 or 3.13)
#   TORCH_INDEX=URL      index that is asked for torch beside pip's own. The default serves the CPU build;
#                        .../whl/cu130 selects a CUDA build; empty leaves the choice to pip's own index.
#   TORCH=keep           do not install torch: .venv sees the one that PYTHON already has
#   CONSTRAINTS=FILE     versions to install: constraints/lowest.txt is the floor of every range in pyproject.toml
#   OUT=runs/...         where `make study` writes
#   STUDY_ARGS="..."     more options for `studies run` (see `.venv/bin/studies run --help`)

PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))' 2>/dev/null \
	&& echo $$python && break; done)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH ?= install
OUT ?= runs/ensemble_vs_llm
STUDY_ARGS ?=

BIN := .venv/bin
CONSTRAINTS = constraints/py$(shell $(PYTHON) -c 'import sys; print("%d%d" % sys.version_info[:2])').txt
TORCH_SPEC = $(shell grep '^torch==' $(CONSTRAINTS))
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

# Set-up -------------------------------------------------------------------------------------------------

# Changes only when other versions are asked for, so that the next target is then made anew.
.venv/asked: FORCE
	@mkdir -p .venv
	@echo '$(TORCH) $(TORCH_INDEX) $(CONSTRAINTS)' | cmp -s - $@ || echo '$(TORCH) $(TORCH_INDEX) $(CONSTRAINTS)' > $@

.venv/ready: pyproject.toml .venv/asked $(wildcard constraints/*.txt)
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name one with PYTHON=..." >&2; exit 2; }
	@{ test -x $(BIN)/python && test "$(TORCH)" != keep; } || $(PYTHON) -m venv $(if $(filter keep,$(TORCH)),--system-site-packages) .venv
ifneq ($(TORCH),keep)
	@index=; test -z "$(TORCH_INDEX)" || \
	if $(BIN)/python -c 'import urllib.request as u; u.urlopen("$(TORCH_INDEX)/torch/", timeout=5)' 2>/dev/null; \
	then index="--extra-index-url $(TORCH_INDEX)"; \
	else echo "$(TORCH_INDEX) does not answer: torch comes from pip's own index"; fi; \
	$(BIN)/python -m pip install --quiet $$index "$(TORCH_SPEC)"
endif
	@grep -v '$(if $(filter keep,$(TORCH)),^torch==,^$$)' $(CONSTRAINTS) > .venv/constraints.txt
	$(BIN)/python -m pip install --quiet --constraint .venv/constraints.txt --editable '.[torch,test]'
	@touch $@

.PHONY: FORCE setup study test pytest test-full lint pins screenshots clean
FORCE:
setup: .venv/ready

# The main job -------------------------------------------------------------------------------------------

study: .venv/ready
	@$(BIN)/studies run ensemble_vs_llm --out $(OUT) --resume $(STUDY_ARGS)

# Tests --------------------------------------------------------------------------------------------------

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint pytest

# Native thread pools are held to one thread: the test processes already fill the cores. With
# CONSTRAINTS=constraints/lowest.txt this, but not lint, passes: types and rules are those of the pinned versions.
pytest: .venv/ready
	OMP_NUM_THREADS=1 $(PYTEST)

# The same, but a skipped test is a failure.
test-full: lint
	OMP_NUM_THREADS=1 $(PYTEST) --no-skips

# Versions -----------------------------------------------------------------------------------------------

# Needs uv. Keeps what is pinned as far as pyproject.toml allows it; PINS=--upgrade raises everything. torch names
# its CUDA libraries itself, to the version; XGBoost is one library under two names.
COMPILE := uv pip compile pyproject.toml --extra torch --extra test --python-platform linux \
	--quiet --no-annotate --custom-compile-command 'make pins'

pins:
	$(COMPILE) $(PINS) --python-version 3.11 --output-file constraints/py311.txt
	$(COMPILE) $(PINS) --python-version 3.12 --output-file constraints/py312.txt
	$(COMPILE) $(PINS) --python-version 3.13 --output-file constraints/py313.txt
	$(COMPILE) --resolution lowest-direct --python-version 3.11 --output-file constraints/lowest.txt
	sed -i -E '/^(cuda|nvidia|triton)/d; s/^xgboost-cpu==(.*)/&\nxgboost==\1/' constraints/*.txt

# The pictures of the README, from the report in OUT; needs Chromium.
screenshots: .venv/ready
	$(BIN)/python docs/screenshots.py $(OUT)

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# The one door. `make demo` shows the answer, `make test` is what CI runs; both set up .venv first.
PYTHON ?= python3
DIR ?= tests/golden
BIN := .venv/bin
READY := .venv/.ready
# Tests start hundreds of programs: none is to compile again what it imports (torch takes seconds).
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test golden fix bench mutants lock

demo: $(READY)  ## render the built-in world, run all 39 runs of fusion_layer, report, look at a clip
	$(BIN)/mbt-cli ablate --grid fusion_layer
	$(BIN)/mbt-cli report fusion_layer
	$(BIN)/mbt-cli attention-rollout test/00002
	@echo
	@echo "The answer, with figures:    results/fusion_layer-synthetic/report.html (or report.md)"
	@echo "Where a model looked:        results/rollouts/00002-*/rollout.mp4"
	@echo "Every run:                   $(BIN)/mbt-cli runs list"
	@echo "The same in MLflow:          $(BIN)/mlflow ui --backend-store-uri sqlite:///results/mlflow.db"
	@echo "Next: the same question at your own settings, or on your own video:"
	@echo "    $(BIN)/mbt-cli ablate --grid fusion_layer --probes    # what each run loses without one thing"
	@echo "    $(BIN)/mbt-cli ablate --grid fusion_layer --set model.bottlenecks=1 --seeds 1"
	@echo "    $(BIN)/mbt-cli attention-rollout your-video.mp4"

test: $(READY)  ## lint, types, floors, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

golden: $(READY)  ## make golden DIR=FOLDER: our numbers against the official ones
	PYTHONPATH=tests $(BIN)/python -m conformance "$(DIR)"

fix: $(READY)  ## what a tool can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## every benchmark, each printing a ratio
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

mutants: $(READY)  ## break models, shards and measures in 4,100 ways; what no test notices (40 min)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group mutants
	OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mbt-cli needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

lock:  ## pin what pyproject.toml allows, for every platform, without addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header \
		--group dev pyproject.toml --output-file requirements.lock

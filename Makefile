# Every target makes .venv when it is missing: with uv where it is installed, else with venv and pip.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
# .ci/run empties this, to run the slow tests as well.
PYTEST_ARGS ?= -m "not slow"
BIN := $(VENV)/bin

# One thread a process: the test and benchmark processes are the parallelism.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export NUMBA_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where nothing keeps what Python has compiled, each process of a test compiles PyTorch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check page format bench build clean

help:
	@echo "make demo    make a video of a scripted operator who takes over and lifts the cube: outputs/demo.mp4"
	@echo "make test    run the tests, without the slow ones; with them: make test PYTEST_ARGS="
	@echo "make check   check lint, formatting and types"
	@echo "make page    check the web page's types, and that its libraries are what the script builds (needs npm)"
	@echo "make format  fix lint and formatting where that can be done automatically"
	@echo "make bench   compare with upstream gym-hil; writes benchmarks/results/"
	@echo "make build   build wheel and sdist into dist/"

demo: $(VENV)/.installed-core
	$(BIN)/gym-hil demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

page: $(VENV)/.installed-dev
	$(BIN)/python web/make_types.py --check
	cd web && npm install --no-audit --no-fund --loglevel=error && npm run --silent check

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.run $(GROUPS)

build: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) dist build outputs .cache .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.installed-core: pyproject.toml
	PYTHON="$(PYTHON)" .ci/install "$(VENV)" -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml
	PYTHON="$(PYTHON)" .ci/install "$(VENV)" -e ".[dev]" -c .ci/constraints.txt
	@touch $(VENV)/.installed-core $@

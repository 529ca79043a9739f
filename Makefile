# Two commands do everything on a fresh machine with Python 3.11 or later: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?= 60

.PHONY: demo test lint fuzz soak kernels bench bench-size bench-start bench-btf bench-maps bench-events bench-objects docs clean

demo: $(VENV)/.installed
	$(BIN)/purebpf demo

test: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check purebpf tests examples bench setup.py
	$(BIN)/ruff format --check purebpf tests examples bench setup.py
	$(BIN)/mypy
	$(BIN)/lint-imports

# Random programs. Damaged inputs have fuzzers of their own: python -m tests.fuzz.btf, python -m tests.elf.fuzz (--count 100000).
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

# make soak SOAK="--cycles 200 --seconds 2 --kills 1"
soak: $(VENV)/.installed-dev
	$(BIN)/python -W error::ResourceWarning -m tests.soak $(SOAK)

# make kernels KERNELS="5.10 arm64" TESTS=tests/kernel/test_map.py
kernels: $(VENV)/.installed-dev
	$(BIN)/python -m tests.kernels $(KERNELS) $(if $(TESTS),--tests $(TESTS))

bench: bench-size bench-start bench-btf bench-maps bench-events bench-objects

bench-maps: $(VENV)/.installed-dev
	$(BIN)/python -m bench.maps --write

bench-events: $(VENV)/.installed-dev
	$(BIN)/python -m bench.events --write

bench-objects: $(VENV)/.installed-dev
	$(BIN)/python -m bench.objects --write

bench-start: $(VENV)/.installed-dev
	$(BIN)/python -m bench.start

bench-btf: $(VENV)/.installed-dev
	$(BIN)/python -m bench.btf --blobs 100000 --write

bench-size: $(VENV)/.installed-dev
	$(BIN)/python -m bench.size

docs: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/docs

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "purebpf needs Python 3.11 or later; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat -e '.[dev]'
	touch $(VENV)/.installed
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info

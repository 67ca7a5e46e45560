# Everything happens in .venv; no tool has to be installed beforehand but Python (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
# What an installation is made from besides the Python files, which it uses where they lie.
INPUTS := pyproject.toml setup.py $(wildcard src/neocog/kernels/source/*)

.PHONY: demo test sanitize format benchmark clean

demo: .venv/installed
	$(BIN)/neocog demo

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

sanitize:
	$(PYTHON) tests/kernels/sanitize.py

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: .venv/installed
	$(BIN)/python benchmarks/training_loop.py

clean:
	rm -rf .venv build dist *.egg-info src/*.egg-info src/neocog/kernels/*.so

.venv/installed: $(INPUTS)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[pretrained]'
	touch $@

.venv/installed-test: $(INPUTS)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,pretrained]'
	touch .venv/installed $@

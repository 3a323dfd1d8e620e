# make serve   set up what the examples need, build the example repository, start the server
# make test    set up everything for CPU, then lint, types and all tests
# make venv    only the set-up of make test
# make protos  generate the protobuf modules anew
# make help    this text

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := $(shell find protos backends scheduler repository server -name '*.py' -o -name '*.pyi' -o -name '*.proto')
FOLDERS := protos backends scheduler repository server
SERVE_ARGS ?=

.PHONY: help serve test venv lint types unit protos clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# The environment is made once; a stamp for each set of packages says what it holds.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.serve: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[examples]'
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) '.[onnx,torch,examples,dev]'
	touch $@

# Tests and mypy see the installed package, as users do, not the source folders.
$(VENV)/.installed: $(VENV)/.test $(SOURCES) pyproject.toml
	$(PIP) --no-deps --force-reinstall .
	touch $@

venv: $(VENV)/.installed

serve: $(VENV)/.serve
	$(BIN)/python examples/build_repository.py
	exec $(BIN)/tritonpy-server --model-repository examples/model_repository $(SERVE_ARGS)

test: lint types unit

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	cd tests && ../$(BIN)/mypy --config-file ../pyproject.toml $(addprefix -p tritonpy.,$(FOLDERS))

unit: $(VENV)/.installed
	$(BIN)/python -m pytest tests

protos: $(VENV)/.test
	$(BIN)/python protos/generate.py

clean:
	rm -rf $(VENV) build *.egg-info examples/model_repository examples/inputs examples/.packages

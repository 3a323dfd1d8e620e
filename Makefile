# make serve   set up what the examples need, build the example repository, start the server
# make test    set up everything for CPU, then lint, types and all tests
# make venv    only the set-up of make test
# make protos  generate the protobuf modules anew
# make clean   remove everything that the others made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
FLOORS := protos backends scheduler repository server
SOURCES := $(shell find $(FLOORS) -name '*.py' -o -name '*.pyi' -o -name '*.proto')
# Further options of the server, for instance SERVE_ARGS='--http-port 9000'.
SERVE_ARGS ?=

.NOTPARALLEL:
.PHONY: help serve test venv lint types unit protos clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

# Stamps: which sets of packages the environment holds, and that the project in it is that of the source folders.
# The project is installed, not linked, so that tests and mypy see what users get. setuptools would keep modules that
# are no longer there in build/.
$(VENV)/.serve: pyproject.toml constraints.txt | $(BIN)/python
	rm -rf build
	$(PIP) '.[examples]'
	touch $@ $(VENV)/.installed

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	rm -rf build
	$(PIP) '.[onnx,torch,examples,dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	rm -rf build
	$(PIP) --no-deps --force-reinstall .
	touch $@

venv: $(VENV)/.test $(VENV)/.installed

serve: $(VENV)/.serve $(VENV)/.installed
	$(BIN)/python examples/build_repository.py
	exec $(BIN)/tritonpy-server --model-repository examples/model_repository $(SERVE_ARGS)

test: lint types unit

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	cd docs && ../$(BIN)/mypy --config-file ../pyproject.toml $(addprefix -p tritonpy.,$(FLOORS))
	$(BIN)/mypy --config-file pyproject.toml examples/build_repository.py examples/builder examples/clients

unit: venv
	$(BIN)/python -m pytest tests

protos: venv
	$(BIN)/python protos/generate.py

clean:
	rm -rf $(VENV) build *.egg-info examples/model_repository examples/inputs examples/.packages

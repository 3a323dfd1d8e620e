"""Imports a model's model.py the way Triton does."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError
from tritonpy.backends.python import pb_module

DEFAULT_FILENAME = "model.py"


def import_model_class(spec: ModelSpec) -> Any:
    """The class `TritonPythonModel` of the model's file, imported as module `<version>.<file stem>`.

    The version's and the model's folder go to the front of `sys.path`; relative imports of files beside the
    model work. Raises InternalError if there is no such file, and whatever the model's code raises.
    """
    path = spec.version_directory / (spec.filename or DEFAULT_FILENAME)
    if path.suffix != ".py":
        raise InternalError(f"Model name must end with '.py'. Model name is \"{path.name}\".")
    if not path.is_file():
        raise InternalError(f"Python model file not found in '{spec.name}/{spec.version}/{path.name}'")
    pb_module.install(str(spec.version_directory))
    for folder in (spec.model_directory, spec.version_directory):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    module = _import_file(f"{spec.version}.{path.stem}", spec)
    return module.TritonPythonModel


def _import_file(module_name: str, spec: ModelSpec) -> types.ModuleType:
    path = spec.version_directory / (spec.filename or DEFAULT_FILENAME)
    package = types.ModuleType(str(spec.version))
    package.__path__ = [str(spec.version_directory)]
    sys.modules[package.__name__] = package
    found = importlib.util.spec_from_file_location(module_name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[module_name] = module
    found.loader.exec_module(module)
    return module

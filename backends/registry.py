"""Finds the backend that a model names. A framework is imported only when a model needs it."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from tritonpy.backends.contract import Backend, ExecutionMode
from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """A backend's module, the framework package it needs ("" = none), the pip extra that brings that package,
    and where instances run unless the model's parameter `EXECUTION` says otherwise."""

    module: str
    package: str
    extra: str
    default_execution: ExecutionMode


BACKENDS = {
    "onnxruntime": BackendEntry("tritonpy.backends.onnx_runtime", "onnxruntime", "onnx", ExecutionMode.THREAD),
    "pytorch": BackendEntry("tritonpy.backends.pytorch", "torch", "torch", ExecutionMode.THREAD),
    "python": BackendEntry("tritonpy.backends.python", "", "", ExecutionMode.PROCESS),
}


def find_backend(name: str) -> BackendEntry:
    """The entry of backend `name`, without importing anything.

    Raises InvalidArgumentError if there is none of that name, UnsupportedError (with the pip extra that installs
    it) if its framework is not installed.
    """
    entry = BACKENDS.get(name)
    if entry is None:
        raise InvalidArgumentError(
            f"unable to find backend library for backend '{name}', try specifying runtime on the model "
            f"configuration. Backends of this server: {', '.join(sorted(BACKENDS))}."
        )
    if entry.package and importlib.util.find_spec(entry.package) is None:
        raise UnsupportedError(
            f"backend '{name}' needs the package '{entry.package}', which is not installed. "
            f"Install it with: pip install 'tritonpy[{entry.extra}]'"
        )
    return entry


def load_backend(name: str) -> Backend:
    """Import backend `name`, framework included; raises as `find_backend` does."""
    module = importlib.import_module(find_backend(name).module)
    backend: Backend = module.BACKEND
    return backend

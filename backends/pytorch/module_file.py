"""Models written in Python: a model.py that defines one torch.nn.Module, with its weights beside it.

The module is made without arguments and gets the weights of `model.safetensors`, `model.pt` or `model.pth` (a state
dict), if there is such a file. Inputs are passed in the order of the configuration; the result is a tensor, or a tuple
or list of tensors in the order of the configured outputs.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError, UnsupportedError
from tritonpy.backends.parameters import boolean_parameter
from tritonpy.backends.pytorch.program import Argument, error_text, select

COMPILE = "TORCH_COMPILE"
COMPILE_OPTIONS = "TORCH_COMPILE_OPTIONAL_PARAMETERS"
_COMPILE_KEYS = ("fullgraph", "dynamic", "backend", "mode", "options", "disable")
_WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth")

_numbers = itertools.count()


class ModuleProgram:
    """An nn.Module, run as it is or through torch.compile."""

    # Python code cannot be asked.
    writes_inputs = True

    def __init__(self, path: Path, spec: ModelSpec, device: torch.device | None) -> None:
        """`device` None leaves the module where it puts itself. Raises InvalidArgumentError if the file does not
        hold one module, and whatever its code raises."""
        module = _module_class(spec, path)()
        _load_weights(module, path, device)
        self.module: torch.nn.Module | None = module.eval() if device is None else module.eval().to(device)
        self.device = device or next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
        options = compile_options(spec.parameters)
        self.needs_warm_up = options is not None
        self._call = module if options is None else torch.compile(module, **options)
        self._inputs = spec.signature.inputs
        self._outputs = spec.signature.outputs

    def run(self, inputs: Mapping[str, Argument]) -> list[object]:
        returned = self._call(*(inputs[tensor.name] for tensor in self._inputs if tensor.name in inputs))
        is_text = isinstance(returned, list) and all(isinstance(element, str) for element in returned)
        results = list(returned) if isinstance(returned, tuple | list) and not is_text else [returned]
        return select(results, range(len(self._outputs)), self._outputs)

    def error(self, error: Exception) -> TritonpyError:
        return InternalError(f"PyTorch execute failure: {error_text(error)}")


def _module_class(spec: ModelSpec, path: Path) -> type[torch.nn.Module]:
    """The only nn.Module that the file itself defines."""
    module = _import_file(path)
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, torch.nn.Module) and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        names = ", ".join(one.__name__ for one in classes) or "none"
        raise InvalidArgumentError(
            f"{spec.name}/{spec.version}/{path.name} must define exactly one class derived from torch.nn.Module, "
            f"found: {names}. Define helper modules in files beside it and import them (from .helpers import Block)."
        )
    return classes[0]


def _import_file(path: Path) -> types.ModuleType:
    """Import the file under a name of its own, once for each instance: torch.compile keeps what it compiled with the
    code, and would mix up instances. The file can import others beside it relatively."""
    package = types.ModuleType(f"tritonpy_torch_model_{next(_numbers)}")
    package.__path__ = [str(path.parent)]
    sys.modules[package.__name__] = package
    found = importlib.util.spec_from_file_location(f"{package.__name__}.{path.stem}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[module.__name__] = module
    found.loader.exec_module(module)
    return module


def _load_weights(module: torch.nn.Module, path: Path, device: torch.device | None) -> None:
    candidates = (path.with_suffix(suffix) for suffix in _WEIGHT_SUFFIXES)
    weights = next((candidate for candidate in candidates if candidate.is_file()), None)
    if weights is not None:
        module.load_state_dict(read_weights(weights, device))


def read_weights(path: Path, device: torch.device | None = None) -> Mapping[str, Any]:  # a state dict
    """A state dict from a file. Nothing but tensors is ever unpickled: a weights file is data, not code.

    Raises UnsupportedError if the file's format needs a package that is not installed.
    """
    if path.suffix != ".safetensors":
        state: Mapping[str, Any] = torch.load(str(path), map_location=device, weights_only=True)
        return state
    if importlib.util.find_spec("safetensors") is None:
        raise UnsupportedError(
            f"{path.name} needs the package 'safetensors', which is not installed. Install it with: "
            "pip install 'tritonpy[torch]'"
        )
    from safetensors.torch import load_file

    tensors: Mapping[str, Any] = load_file(str(path), device=str(device or "cpu"))
    return tensors


def compile_options(parameters: Mapping[str, str]) -> dict[str, Any] | None:  # the arguments of torch.compile
    """The arguments for torch.compile, None if the model is to run as it is.

    Compiling is asked for by the parameter TORCH_COMPILE, or by giving options, in JSON, in
    TORCH_COMPILE_OPTIONAL_PARAMETERS. Raises InvalidArgumentError for other options than torch.compile's.
    """
    text = parameters.get(COMPILE_OPTIONS)
    if not boolean_parameter(parameters, COMPILE, default=text is not None):
        return None
    try:
        options = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidArgumentError(f"parameter '{COMPILE_OPTIONS}' must be a JSON object: {error}") from None
    if not isinstance(options, dict) or not set(options) <= set(_COMPILE_KEYS):
        raise InvalidArgumentError(
            f"parameter '{COMPILE_OPTIONS}' must be a JSON object with some of the keys {', '.join(_COMPILE_KEYS)}; "
            f"got {text}"
        )
    return options

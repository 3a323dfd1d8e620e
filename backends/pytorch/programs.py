"""The kinds of PyTorch models, each as a callable with the names of its arguments."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, UnsupportedError

COMPILE = "TORCH_COMPILE"
COMPILE_OPTIONS = "TORCH_COMPILE_OPTIONAL_PARAMETERS"
_COMPILE_KEYS = ("fullgraph", "dynamic", "backend", "mode", "options", "disable")
_WEIGHTS = ("model.safetensors", "model.pt", "model.pth")


@dataclass(frozen=True, slots=True)
class Program:
    """Something to call with tensors in order. `arguments` are their names, empty if the model does not say.

    `takes_dictionary`: the only argument is a dictionary from input names to tensors.
    """

    call: Callable[..., Any]  # returns what the model returns; conversion.to_output checks it
    arguments: tuple[str, ...]
    takes_dictionary: bool = False


def load_program(spec: ModelSpec, path: Path, device: torch.device) -> Program:
    """The program in a model file, on `device`. Raises TritonpyError, or what torch raises, if it cannot be loaded."""
    if path.suffix == ".py":
        return _load_module_file(spec, path, device)
    if path.suffix == ".pt2":
        return _load_inductor(path, device) if is_inductor_package(path) else _load_exported(path, device)
    return _load_torchscript(path, device)


def _load_torchscript(path: Path, device: torch.device) -> Program:
    module = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    arguments = module.forward.schema.arguments[1:]  # the first is self
    takes_dictionary = len(arguments) == 1 and str(arguments[0].type).startswith("Dict(str, Tensor")
    return Program(module, tuple(argument.name for argument in arguments), takes_dictionary)


def _load_exported(path: Path, device: torch.device) -> Program:
    exported = torch.export.load(str(path))
    module = exported.module()
    if device.type != "cpu":
        module = module.to(device)
    return Program(module, tuple(exported.graph_signature.user_inputs))


def is_inductor_package(path: Path) -> bool:
    """Whether a .pt2 file holds compiled code (AOTInductor) rather than a program of torch.export."""
    with zipfile.ZipFile(path) as archive:
        return any("data/aotinductor/" in name for name in archive.namelist())


def _load_inductor(path: Path, device: torch.device) -> Program:
    # Compiled code checks nothing by itself: wrong shapes or types would read memory that is not theirs.
    os.environ.setdefault("AOTI_RUNTIME_CHECK_INPUTS", "1")
    from torch._inductor import aoti_load_package  # pulls in the compiler, so only where it is needed

    index = device.index if device.type == "cuda" else -1
    return Program(aoti_load_package(str(path), device_index=-1 if index is None else index), ())


# A Python file with an nn.Module.


def _load_module_file(spec: ModelSpec, path: Path, device: torch.device) -> Program:
    module = _module_class(spec, path)()
    weights = next((path.with_name(name) for name in _WEIGHTS if path.with_name(name).is_file()), None)
    if weights is not None:
        module.load_state_dict(_read_weights(weights, device))
    module = module.eval().to(device)
    arguments = tuple(inspect.signature(module.forward).parameters)
    options = _compile_options(spec)
    return Program(module if options is None else torch.compile(module, **options), arguments)


def _module_class(spec: ModelSpec, path: Path) -> type[torch.nn.Module]:
    """The only nn.Module that the file defines."""
    found = importlib.util.spec_from_file_location(f"tritonpy_model_{spec.name}_{spec.version}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, torch.nn.Module) and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        names = ", ".join(one.__name__ for one in classes) or "none"
        raise InvalidArgumentError(
            f"{spec.name}/{spec.version}/{path.name} must define exactly one torch.nn.Module, found {names}"
        )
    return classes[0]


def _read_weights(path: Path, device: torch.device) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        if importlib.util.find_spec("safetensors") is None:
            raise UnsupportedError(
                f"{path.name} needs the package 'safetensors'. Install it with: pip install 'tritonpy[torch]'"
            )
        from safetensors.torch import load_file

        tensors: dict[str, torch.Tensor] = load_file(str(path), device=str(device))
        return tensors
    # weights_only: never unpickle objects, a weights file is data.
    state: dict[str, torch.Tensor] = torch.load(str(path), map_location=device, weights_only=True)
    return state


def _compile_options(spec: ModelSpec) -> dict[str, Any] | None:
    """The arguments of torch.compile, None if it is not wanted."""
    text = spec.parameters.get(COMPILE_OPTIONS)
    if text is None:
        return {} if spec.parameters.get(COMPILE, "").lower() in ("true", "on", "1") else None
    try:
        options = json.loads(text)
    except ValueError as error:
        raise InvalidArgumentError(
            f"parameter '{COMPILE_OPTIONS}' of model '{spec.name}' is no JSON: {error}"
        ) from None
    _check_compile_options(options, spec)
    result: dict[str, Any] = options
    return result


def _check_compile_options(options: object, spec: ModelSpec) -> None:
    if not isinstance(options, dict):
        raise InvalidArgumentError(f"parameter '{COMPILE_OPTIONS}' of model '{spec.name}' must be a JSON object")
    unknown: Sequence[str] = sorted(set(options) - set(_COMPILE_KEYS))
    if unknown:
        raise InvalidArgumentError(
            f"parameter '{COMPILE_OPTIONS}' of model '{spec.name}' knows {', '.join(_COMPILE_KEYS)}; got "
            f"{', '.join(unknown)}"
        )


def readable(error: Exception, path: Path) -> InternalError:
    """torch's error at loading, without the folder of the file."""
    return InternalError(f"failed to load '{path.name}': {str(error).replace(str(path), path.name)}")

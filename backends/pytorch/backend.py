"""Finds out which kind of PyTorch model a version folder holds, and loads it."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from tritonpy.backends.contract import Completion, DeviceKind, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InvalidArgumentError, TritonpyError, UnsupportedError
from tritonpy.backends.pytorch.exported import complete_from_exported
from tritonpy.backends.pytorch.instance import PyTorchInstance
from tritonpy.backends.pytorch.programs import Program, is_inductor_package, load_program, readable

DEFAULT_FILENAME = "model.pt"
MODULE_FILENAME = "model.py"
WEIGHT_SHARING = "ENABLE_WEIGHT_SHARING"


class PyTorchBackend:
    """Loads PyTorch models."""

    def complete(self, spec: ModelSpec) -> Completion | None:
        path = model_file(spec)
        if path.suffix != ".pt2" or is_inductor_package(path):
            return None
        try:
            return complete_from_exported(spec, path)
        except TritonpyError:
            raise
        except Exception as error:  # torch raises many kinds
            raise readable(error, path) from error

    def load(self, spec: ModelSpec) -> PyTorchModel:
        _check_signature(spec)
        return PyTorchModel(spec, model_file(spec))


class PyTorchModel:
    """A model file; loaded for each instance, or once for each device with `ENABLE_WEIGHT_SHARING`."""

    def __init__(self, spec: ModelSpec, path: Path) -> None:
        self._spec = spec
        self._path = path
        self._shared: dict[torch.device, Program] = {}

    def create_instance(self, instance: InstanceSpec) -> PyTorchInstance:
        set_threads(self._spec, instance)
        device = device_of(instance)
        return PyTorchInstance(self._program(device), self._spec, device)

    def _program(self, device: torch.device) -> Program:
        if not flag(self._spec, WEIGHT_SHARING, False):
            return self._load(device)
        if device not in self._shared:
            self._shared[device] = self._load(device)
        return self._shared[device]

    def _load(self, device: torch.device) -> Program:
        try:
            return load_program(self._spec, self._path, device)
        except TritonpyError:
            raise
        except Exception as error:  # as in complete
            raise readable(error, self._path) from error


def model_file(spec: ModelSpec) -> Path:
    """The file to load: the configured one, or model.py where `runtime` says so or nothing else is there.

    Raises InvalidArgumentError if there is none.
    """
    path = spec.version_directory / (spec.filename or DEFAULT_FILENAME)
    module_path = spec.version_directory / MODULE_FILENAME
    if spec.runtime == MODULE_FILENAME or (not path.is_file() and module_path.is_file()):
        path = module_path
    if not path.is_file():
        raise InvalidArgumentError(f"unable to find '{spec.name}/{spec.version}/{path.name}' for model '{spec.name}'")
    return path


def _check_signature(spec: ModelSpec) -> None:
    for kind, tensors in (("input", spec.signature.inputs), ("output", spec.signature.outputs)):
        if not tensors:
            raise InvalidArgumentError(
                f"model configuration must contain at least one {kind}, none were specified for '{spec.name}'."
            )


def device_of(instance: InstanceSpec) -> torch.device:
    """Where an instance runs. Raises UnsupportedError if the installed torch cannot use GPUs."""
    if instance.kind is not DeviceKind.GPU:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UnsupportedError(
            f"instance '{instance.name}' is to run on a GPU, but the installed torch cannot use one: install a build "
            "of torch for CUDA"
        )
    return torch.device("cuda", instance.device_id)


def set_threads(spec: ModelSpec, instance: InstanceSpec) -> None:
    """Set torch's threads for the calling thread. Several instances share the cores unless told otherwise."""
    count = _count(spec, "INTRA_OP_THREAD_COUNT") or _count(spec, "NUM_THREADS")
    if not count and instance.instance_count > 1:
        count = max(1, len(os.sched_getaffinity(0)) // instance.instance_count)
    if count:
        torch.set_num_threads(count)
    inter_op = _count(spec, "INTER_OP_THREAD_COUNT") or _count(spec, "NUM_INTEROP_THREADS")
    if inter_op and torch.get_num_interop_threads() != inter_op:
        try:
            torch.set_num_interop_threads(inter_op)
        except RuntimeError as error:
            raise UnsupportedError(
                "torch sets the number of inter-op threads once for the whole process, and another model was first; "
                f"give model '{spec.name}' a process of its own: parameter EXECUTION = process"
            ) from error


def _count(spec: ModelSpec, parameter: str) -> int:
    text = spec.parameters.get(parameter)
    if text is None:
        return 0
    if not text.isdecimal():
        raise InvalidArgumentError(f"parameter '{parameter}' of model '{spec.name}' must be a count, got '{text}'")
    return int(text)


def flag(spec: ModelSpec, parameter: str, default: bool) -> bool:
    """A boolean parameter: true/on/1 or false/off/0 in any case. Raises InvalidArgumentError for other texts."""
    text = spec.parameters.get(parameter)
    if text is None:
        return default
    if text.lower() in ("true", "on", "1"):
        return True
    if text.lower() in ("false", "off", "0"):
        return False
    raise InvalidArgumentError(f"parameter '{parameter}' of model '{spec.name}': failed to convert '{text}' to boolean")

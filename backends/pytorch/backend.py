"""Finds out which form of PyTorch model a version folder holds, and loads it."""

from __future__ import annotations

import threading
from pathlib import Path

import torch

from tritonpy.backends.contract import Completion, DeviceKind, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError, UnsupportedError
from tritonpy.backends.model_tensors import needs_completion
from tritonpy.backends.pytorch.archive import is_inductor_package
from tritonpy.backends.pytorch.exported import ExportedProgram, complete_exported
from tritonpy.backends.pytorch.inductor import InductorProgram
from tritonpy.backends.pytorch.instance import PyTorchInstance, check_text_inputs
from tritonpy.backends.pytorch.module_file import ModuleProgram
from tritonpy.backends.pytorch.program import Program, error_text
from tritonpy.backends.pytorch.settings import apply_process_switches, read_settings, set_threads
from tritonpy.backends.pytorch.torchscript import TorchScriptProgram

DEFAULT_FILENAME = "model.pt"
MODULE_FILENAME = "model.py"


class PyTorchBackend:
    """The backend `pytorch`."""

    def complete(self, spec: ModelSpec) -> Completion | None:
        """Tensors and batching of a program of torch.export; the other forms say too little about themselves."""
        if not needs_completion(spec.signature):
            return None
        path = model_file(spec)
        try:
            return complete_exported(spec, path) if path.suffix == ".pt2" and not is_inductor_package(path) else None
        except Exception as error:  # torch raises many kinds
            raise _load_error(error, spec) from error

    def load(self, spec: ModelSpec) -> PyTorchModel:
        for kind, tensors in (("input", spec.signature.inputs), ("output", spec.signature.outputs)):
            if not tensors:
                raise InvalidArgumentError(
                    f"model configuration must contain at least one {kind}, none were specified."
                )
        check_text_inputs(spec)
        apply_process_switches(spec.parameters)
        return PyTorchModel(spec, model_file(spec))


class PyTorchModel:
    """A model file. Each instance loads it for itself, or one for each device if ENABLE_WEIGHT_SHARING is set."""

    def __init__(self, spec: ModelSpec, path: Path) -> None:
        self._spec = spec
        self._path = path
        self._settings = read_settings(spec.parameters)
        self._shared: dict[torch.device | None, Program] = {}
        self._lock = threading.Lock()  # instances are made at the same time, each on its thread

    def create_instance(self, instance: InstanceSpec) -> PyTorchInstance:
        set_threads(self._settings, instance)
        try:
            program = self._program(device_of(instance))
            return PyTorchInstance(program, self._spec, instance, self._settings)
        except Exception as error:  # torch raises many kinds, a model.py any
            raise _load_error(error, self._spec) from error

    def _program(self, device: torch.device | None) -> Program:
        if not self._settings.weight_sharing:
            return load_program(self._path, self._spec, device)
        with self._lock:
            if device not in self._shared:
                self._shared[device] = load_program(self._path, self._spec, device)
            return self._shared[device]


def model_file(spec: ModelSpec) -> Path:
    """The file to load: the configured one; or model.py where `runtime` asks for it or there is nothing else.

    Raises InvalidArgumentError if there is none.
    """
    path = spec.version_directory / (spec.filename or DEFAULT_FILENAME)
    module_path = spec.version_directory / MODULE_FILENAME
    if module_path.is_file() and (spec.runtime == MODULE_FILENAME or not path.is_file()):
        return module_path
    if not path.is_file():
        raise InvalidArgumentError(
            f"unable to find '{spec.name}/{spec.version}/{path.name}' for model instance '{spec.name}'"
        )
    return path


def load_program(path: Path, spec: ModelSpec, device: torch.device | None) -> Program:
    """Load a model file for `device` (None: where the model puts itself). Raises TritonpyError, or what torch or
    the model's code raises."""
    if path.suffix == ".py":
        return ModuleProgram(path, spec, device)
    if path.suffix != ".pt2":
        return TorchScriptProgram(path, spec, device)
    return InductorProgram(path, spec, device) if is_inductor_package(path) else ExportedProgram(path, spec, device)


def device_of(instance: InstanceSpec) -> torch.device | None:
    """Where an instance runs; None for KIND_MODEL. Raises UnsupportedError if the installed torch has no GPU."""
    if instance.kind is DeviceKind.MODEL:
        return None
    if instance.kind is DeviceKind.CPU:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UnsupportedError(
            f"instance '{instance.name}' is to run on a GPU, but the installed torch sees none: install a build of "
            "torch for CUDA, or ask for KIND_CPU in instance_group"
        )
    return torch.device("cuda", instance.device_id)


def _load_error(error: Exception, spec: ModelSpec) -> TritonpyError:
    if isinstance(error, TritonpyError):
        return error
    text = error_text(error).replace(f"{spec.model_directory.parent}/", "")
    return InternalError(f"failed to load model '{spec.name}': {text}")

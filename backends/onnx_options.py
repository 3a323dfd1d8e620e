"""Session and run options of ONNX Runtime, from a model's configuration."""

from __future__ import annotations

import os
from typing import Any

import onnxruntime
from tritonpy.backends.contract import DeviceKind, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError

_LEVELS = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    0: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_MODES = {
    0: onnxruntime.ExecutionMode.ORT_SEQUENTIAL,
    1: onnxruntime.ExecutionMode.ORT_PARALLEL,
}
_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
_DEVICE_ALLOCATOR = "session.use_device_allocator_for_initializers"


def session_options(spec: ModelSpec, instance: InstanceSpec | None) -> Any:  # onnxruntime.SessionOptions
    """The options of a session; without `instance` the session is only looked at."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; warnings about shapes would fill the log
    options.graph_optimization_level = (
        _choice("optimization.graph.level", spec.graph_level, _LEVELS, spec)
        if instance
        else onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    options.execution_mode = _choice("execution_mode", _integer(spec, "execution_mode", 0), _MODES, spec)
    options.enable_cpu_mem_arena = _flag(spec, "enable_mem_arena")
    options.enable_mem_pattern = _flag(spec, "enable_mem_pattern")
    options.inter_op_num_threads = _integer(spec, "inter_op_thread_count", 0)
    _set_threads(options, spec, instance)
    if _DEVICE_ALLOCATOR in spec.parameters:
        options.add_session_config_entry(_DEVICE_ALLOCATOR, spec.parameters[_DEVICE_ALLOCATOR])
    return options


def _set_threads(options: Any, spec: ModelSpec, instance: InstanceSpec | None) -> None:
    """Threads inside an operator. Unless configured, several instances share the cores instead of each taking all of
    them, and do not spin on those of the others."""
    threads = _integer(spec, "intra_op_thread_count", 0)
    if threads == 0 and instance is not None and instance.instance_count > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // instance.instance_count)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads


def run_options(spec: ModelSpec) -> Any:  # onnxruntime.RunOptions
    """The options of every run, None if there are none to set."""
    if _SHRINKAGE not in spec.parameters:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(_SHRINKAGE, spec.parameters[_SHRINKAGE])
    return options


def providers(instance: InstanceSpec) -> list[Any]:  # names, or pairs of name and options
    """The execution providers for an instance: CUDA first on a GPU. Raises UnsupportedError if the installed ONNX
    Runtime cannot use GPUs."""
    if instance.kind is not DeviceKind.GPU:
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise UnsupportedError(
            f"instance '{instance.name}' is to run on a GPU, but the installed ONNX Runtime has no CUDA provider. "
            "Install it with: pip install 'tritonpy[onnx-gpu]'"
        )
    return [("CUDAExecutionProvider", {"device_id": instance.device_id}), "CPUExecutionProvider"]


def _integer(spec: ModelSpec, parameter: str, default: int) -> int:
    """A parameter of the model, else of the backend (`--backend-config`), as a number."""
    text = spec.parameters.get(parameter, spec.backend_config.get(parameter))
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise InvalidArgumentError(
            f"parameter '{parameter}' of model '{spec.name}' must be an integer, got '{text}'"
        ) from None


def _flag(spec: ModelSpec, parameter: str) -> bool:
    return _integer(spec, parameter, 1) != 0


def _choice(name: str, value: int, choices: dict[int, Any], spec: ModelSpec) -> Any:  # an enum of onnxruntime
    if value not in choices:
        expected = ", ".join(map(str, choices))
        raise InvalidArgumentError(f"'{name}' of model '{spec.name}' must be one of {expected}, got {value}")
    return choices[value]

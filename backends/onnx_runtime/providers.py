"""Where a session runs: the execution providers that the instance's device and the configuration ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import onnxruntime

from tritonpy.backends.contract import DeviceKind, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError

Provider = tuple[str, dict[str, str]]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
_GPU_ACCELERATORS = {"cuda": CUDA, "tensorrt": TENSORRT}
_CPU_ACCELERATORS = {"openvino": OPENVINO}

# The older way to set options of the CUDA provider: parameters of the model. Numbers stand for names.
_CUDA_PARAMETERS: dict[str, Mapping[str, str]] = {
    "cudnn_conv_algo_search": {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"},
    "gpu_mem_limit": {},
    "arena_extend_strategy": {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"},
    "do_copy_in_default_stream": {},
}
# The TensorRT accelerator's own names; those that begin with `trt_` are the provider's.
_TENSORRT_PARAMETERS = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
}
_TENSORRT_PRECISIONS = {"FP32": {}, "FP16": "trt_fp16_enable", "BF16": "trt_bf16_enable", "INT8": "trt_int8_enable"}


def providers(spec: ModelSpec, instance: InstanceSpec) -> list[Provider]:
    """The providers of a session, the preferred one first; the CPU takes what the others cannot.

    Raises InvalidArgumentError for accelerators that do not exist, UnsupportedError for those that the installed
    onnxruntime does not have.
    """
    on_gpu = instance.kind is DeviceKind.GPU
    chosen = _gpu_providers(spec, instance.device_id) if on_gpu else _cpu_providers(spec)
    for name, _ in chosen:
        _check_available(name, onnxruntime.get_available_providers())
    return [*chosen, (CPU, {})]


def _gpu_providers(spec: ModelSpec, device_id: int) -> list[Provider]:
    requested = _accelerators(spec, "gpu_execution_accelerator", _GPU_ACCELERATORS)
    chosen: list[Provider] = []
    if TENSORRT in requested:
        chosen.append((TENSORRT, {"device_id": str(device_id), **tensorrt_options(requested[TENSORRT])}))
    cuda_options = {**_cuda_options(spec.parameters), **requested.get(CUDA, {})}
    chosen.append((CUDA, {"device_id": str(device_id), **cuda_options}))
    return chosen


def _cpu_providers(spec: ModelSpec) -> list[Provider]:
    return list(_accelerators(spec, "cpu_execution_accelerator", _CPU_ACCELERATORS).items())


def _accelerators(spec: ModelSpec, key: str, known: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The options of each accelerator in the configuration, by provider."""
    optimization = json.loads(spec.config_json).get("optimization", {})
    requested = {}
    for entry in optimization.get("execution_accelerators", {}).get(key, ()):
        name = entry.get("name", "")
        if name not in known:
            raise InvalidArgumentError(
                f"unknown Execution Accelerator '{name}' is requested; known here: {', '.join(known)}"
            )
        requested[known[name]] = dict(entry.get("parameters", {}))
    return requested


def _cuda_options(parameters: Mapping[str, str]) -> dict[str, str]:
    return {
        key: names.get(parameters[key], parameters[key]) for key, names in _CUDA_PARAMETERS.items() if key in parameters
    }


def tensorrt_options(parameters: Mapping[str, str]) -> dict[str, str]:
    """The TensorRT provider's options from those of Triton's accelerator; raises InvalidArgumentError for others."""
    options: dict[str, str] = {}
    for key, value in parameters.items():
        if key.startswith("trt_"):
            options[key] = value
        elif key in _TENSORRT_PARAMETERS:
            options[_TENSORRT_PARAMETERS[key]] = value
        elif key == "precision_mode":
            options.update(_precision(value))
        else:
            raise InvalidArgumentError(f"unknown parameter '{key}' is provided for TensorRT Execution Accelerator")
    return options


def _precision(value: str) -> dict[str, str]:
    if value not in _TENSORRT_PRECISIONS:
        raise InvalidArgumentError(
            f"unsupported precision mode '{value}' is requested; known: {', '.join(_TENSORRT_PRECISIONS)}"
        )
    option = _TENSORRT_PRECISIONS[value]
    return {str(option): "1"} if option else {}


def _check_available(provider: str, available: Sequence[str]) -> None:
    if provider in available:
        return
    hint = ""
    if provider in (CUDA, TENSORRT):
        hint = ". To run on a GPU, install: pip install 'tritonpy[onnx-gpu]'; or ask for KIND_CPU in instance_group"
    raise UnsupportedError(f"the installed onnxruntime has no {provider}; it has: {', '.join(available)}{hint}")

"""Makes sessions: options from the model's parameters, the model file, the providers."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from tritonpy.backends.contract import InstanceSpec, ModelSpec
from tritonpy.backends.cores import cores_per_instance
from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.backends.onnx_runtime.errors import load_error
from tritonpy.backends.onnx_runtime.providers import CPU, Provider, providers
from tritonpy.backends.parameters import boolean_parameter, integer_parameter

DEFAULT_FILENAME = "model.onnx"

_GRAPH_LEVELS = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    0: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_EXECUTION_MODES = (onnxruntime.ExecutionMode.ORT_SEQUENTIAL, onnxruntime.ExecutionMode.ORT_PARALLEL)
_SPINNING = "session.intra_op.allow_spinning"
_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
# What goes wrong is raised; the log would only repeat it, for every bad request.
_LOG_FATAL = 4


def model_path(spec: ModelSpec) -> Path:
    """The ONNX file: the configured one, or `model.onnx` in the configured folder (models with external data).

    Raises InvalidArgumentError if it is not there.
    """
    filename = Path(spec.filename or DEFAULT_FILENAME)
    if (spec.version_directory / filename).is_dir():
        filename = filename / DEFAULT_FILENAME
    path = spec.version_directory / filename
    if not path.is_file():
        raise InvalidArgumentError(
            f"unable to find '{spec.name}/{spec.version}/{filename}' for model instance '{spec.name}'"
        )
    return path


def make_session(spec: ModelSpec, instance: InstanceSpec) -> onnxruntime.InferenceSession:
    """The session that runs an instance. Raises TritonpyError if the file, a parameter or a device is wrong."""
    return _open(spec, session_options(spec, instance), providers(spec, instance))


def make_metadata_session(spec: ModelSpec) -> onnxruntime.InferenceSession:
    """A session that is only asked for its tensors: quick to make, slow to run."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_FATAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _open(spec, options, [(CPU, {})])


def _open(spec: ModelSpec, options: onnxruntime.SessionOptions, chosen: list[Provider]) -> onnxruntime.InferenceSession:
    path = model_path(spec)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=chosen)
    except Exception as error:  # its classes have no common base
        raise load_error(error, spec) from error
    for name, _ in chosen:
        # ONNX Runtime goes on without a provider that fails to start, and only logs it.
        if name not in session.get_providers():
            raise UnsupportedError(
                f"onnxruntime's {name} did not start for model '{spec.name}'; the server's log says why. Usually its "
                "libraries (CUDA, cuDNN, TensorRT) are missing or of another version."
            )
    session.disable_fallback()
    return session


def session_options(spec: ModelSpec, instance: InstanceSpec) -> onnxruntime.SessionOptions:
    """The options that the model's configuration asks for.

    Parameters: `intra_op_thread_count`, `inter_op_thread_count`, `execution_mode` (0 sequential, 1 parallel),
    `enable_mem_arena`, `enable_mem_pattern`, and any `session.*` entry of ONNX Runtime. `optimization.graph.level`:
    -1 basic, 0 all, 1 extended, 2 none. Several instances share the cores unless told otherwise, and do not spin
    while they wait, which would take the cores from each other.
    """
    parameters, options = spec.parameters, onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_FATAL
    options.intra_op_num_threads = integer_parameter(parameters, "intra_op_thread_count", 0)
    options.inter_op_num_threads = integer_parameter(parameters, "inter_op_thread_count", 0)
    if instance.instance_count > 1:
        options.intra_op_num_threads = options.intra_op_num_threads or cores_per_instance(instance.instance_count)
        options.add_session_config_entry(_SPINNING, "0")
    options.execution_mode = _EXECUTION_MODES[boolean_parameter(parameters, "execution_mode", False)]
    options.enable_cpu_mem_arena = boolean_parameter(parameters, "enable_mem_arena", True)
    options.enable_mem_pattern = boolean_parameter(parameters, "enable_mem_pattern", True)
    options.graph_optimization_level = _graph_level(spec)
    for key, value in parameters.items():
        if key.startswith("session."):
            options.add_session_config_entry(key, value)
    return options


def _graph_level(spec: ModelSpec) -> onnxruntime.GraphOptimizationLevel:
    level = _GRAPH_LEVELS.get(spec.graph_level)
    if level is None:
        raise InvalidArgumentError(
            f"optimization.graph.level of model '{spec.name}' must be -1 (basic), 0 (all), 1 (extended) or 2 (none), "
            f"got {spec.graph_level}"
        )
    return level


def run_options(spec: ModelSpec) -> onnxruntime.RunOptions | None:
    """Options of every run, if the parameter `memory.enable_memory_arena_shrinkage` asks for any."""
    if _SHRINKAGE not in spec.parameters:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(_SHRINKAGE, spec.parameters[_SHRINKAGE])
    return options

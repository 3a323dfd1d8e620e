"""What configurations can ask for and this server does not do: refused, or ignored with a warning.

A field is ignored only where answers do not depend on it. The fields that nothing here mentions are honoured, or
have no effect in Triton either for a model of these backends:

- `cc_model_filenames`, `is_shape_tensor`, `is_non_linear_format_io`, `instance_group.profile`, `optimization.cuda`,
  `optimization.eager_batching`, `optimization.gather_kernel_buffer_threshold` and
  `instance_group.secondary_devices` are read by the backends of TensorRT and TensorFlow only (validation refuses
  those of them that change tensors).
- `optimization.graph` and `optimization.execution_accelerators` are for the backend onnxruntime, which honours them.
- `optimization.priority` is for TensorRT streams, and for the threads of one kind of sequence batcher.
- `optimization.input_pinned_memory` and `output_pinned_memory` allow a faster copy, and promise none.
- `instance_group.rate_limiter` counts only with the server option `--rate-limit`, and `instance_group.host_policy`
  only with `--host-policy`; without them Triton ignores both, and this server has neither.
- `response_cache` needs a cache of the server (`--cache-config`); without one Triton ignores it silently.
- `input.format` is information for clients.
"""

from __future__ import annotations

from tritonpy.backends.errors import UnsupportedError
from tritonpy.protos.generated import model_config_pb2
from tritonpy.repository.autofill import ENSEMBLE_PLATFORM

ModelConfig = model_config_pb2.ModelConfig

# The parameter that names a library with a batching strategy of its own.
_BATCH_STRATEGY_PARAMETER = "TRITON_BATCH_STRATEGY_PATH"
_MODULE_FILENAME = "model.py"


def refuse_unsupported(config: ModelConfig) -> None:
    """Raise UnsupportedError for what would change answers or be missed, and cannot be done."""
    for feature, is_asked_for in _refused(config).items():
        if is_asked_for:
            raise UnsupportedError(f"model '{config.name}' asks for {feature}, which this server does not support yet")


def _refused(config: ModelConfig) -> dict[str, bool]:
    custom_operations = config.model_operations.op_library_filename
    return {
        "sequence batching": config.HasField("sequence_batching"),
        "ensembles": config.platform == ENSEMBLE_PLATFORM,
        "'model_warmup'": bool(config.model_warmup),
        "'model_repository_agents'": bool(config.model_repository_agents.agents),
        "'batch_input' and 'batch_output'": bool(config.batch_input or config.batch_output),
        # Other backends do not read it in Triton either.
        "'model_operations'": config.backend == "onnxruntime" and bool(custom_operations),
        f"the parameter '{_BATCH_STRATEGY_PARAMETER}'": _BATCH_STRATEGY_PARAMETER in config.parameters,
        f"the runtime '{config.runtime}'": config.runtime not in _runtimes(config.backend),
    }


def _runtimes(backend: str) -> tuple[str, ...]:
    """The values of `runtime` that mean what this server does: Triton's name for the library of the backend, and for
    PyTorch the name of a module in place of a compiled model."""
    usual = ("", f"libtriton_{backend}.so")
    return (*usual, _MODULE_FILENAME) if backend == "pytorch" else usual


def ignored_features(config: ModelConfig) -> list[str]:
    """What a configuration asks for without effect on answers, for a warning."""
    batching = config.dynamic_batching
    ignored = {
        "'response_cache': the server has no cache": config.response_cache.enable,
        "'model_metrics': the metrics have no histogram": bool(config.model_metrics.metric_control),
        "'rate_limiter': the server has no rate limiter": any(
            group.HasField("rate_limiter") for group in config.instance_group
        ),
        "'priority_queue_policy': there are no 'priority_levels'": bool(
            batching.priority_queue_policy and not batching.priority_levels
        ),
    }
    return [feature for feature, is_ignored in ignored.items() if is_ignored]

"""Puts together the modules `triton_python_backend_utils` and `c_python_backend_utils` that models import."""

from __future__ import annotations

import sys
import types

from tritonpy.backends.python import pb_errors, pb_helpers, pb_inference, pb_logger, pb_model_config, pb_tensor

MODULE_NAME = "triton_python_backend_utils"
COMPILED_MODULE_NAME = "c_python_backend_utils"

_CLASSES = (
    pb_errors.TritonError,
    pb_errors.TritonModelException,
    pb_inference.InferenceRequest,
    pb_inference.InferenceResponse,
    pb_inference.InferenceResponseSender,
    pb_logger.Logger,
    pb_model_config.ModelConfig,
    pb_tensor.Tensor,
)
_HELPERS = (
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_END",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_START",
    "TRITONSERVER_REQUEST_RELEASE_ALL",
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE",
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL",
    "TRITON_STRING_TO_NUMPY",
    "deserialize_bytes_tensor",
    "get_input_config_by_name",
    "get_input_tensor_by_name",
    "get_output_config_by_name",
    "get_output_tensor_by_name",
    "numpy_to_triton_type",
    "serialize_byte_tensor",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "using_decoupled_model_transaction_policy",
)


def install(version_directory: str) -> None:
    """Make both modules importable, complete, before a model is imported.

    Triton adds the classes only after the import of the model; nothing relies on their absence.
    """
    module = types.ModuleType(MODULE_NAME, "The interface of Python models to the server.")
    for cls in _CLASSES:
        setattr(module, cls.__name__, cls)
    for name in _HELPERS:
        setattr(module, name, getattr(pb_helpers, name))
    module.__dict__["get_model_dir"] = lambda: version_directory
    sys.modules[MODULE_NAME] = module
    sys.modules[COMPILED_MODULE_NAME] = module

"""Loading Python models, and asking them for their configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tritonpy.backends.contract import Completion, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InternalError, TritonpyError, UnsupportedError
from tritonpy.backends.python.instance import PythonInstance
from tritonpy.backends.python.model_file import import_model_class
from tritonpy.backends.python.pb_model_config import ModelConfig
from tritonpy.backends.python.traceback_text import exception_text
from tritonpy.backends.signature import signature_from_config

ENVIRONMENT_PARAMETER = "EXECUTION_ENV_PATH"


class PythonBackend:
    """The backend `python`."""

    def complete(self, spec: ModelSpec) -> Completion | None:
        """Ask the model's `auto_complete_config`; None if it has none."""
        try:
            return self._complete(spec)
        except BaseException as error:  # a model may raise anything
            raise _load_error(error, spec) from error

    def _complete(self, spec: ModelSpec) -> Completion | None:
        _refuse_environments(spec)
        model_class = import_model_class(spec)
        if not hasattr(model_class, "auto_complete_config"):
            return None
        completed = model_class.auto_complete_config(ModelConfig(json.loads(spec.config_json)))
        if not isinstance(completed, ModelConfig):
            raise InternalError(
                f"auto_complete_config function in model '{spec.name}' must return a valid pb.ModelConfig object."
            )
        return _completion(completed.as_dict())

    def load(self, spec: ModelSpec) -> PythonModel:
        try:
            _refuse_environments(spec)
            return PythonModel(import_model_class(spec), spec)
        except BaseException as error:  # as above
            raise _load_error(error, spec) from error


class PythonModel:
    """A model.py that has been imported."""

    def __init__(self, model_class: Any, spec: ModelSpec) -> None:
        self._model_class = model_class
        self._spec = spec

    def create_instance(self, instance: InstanceSpec) -> PythonInstance:
        try:
            return PythonInstance(self._model_class, self._spec, instance)
        except BaseException as error:  # a model may raise anything
            raise _load_error(error, self._spec) from error


def _refuse_environments(spec: ModelSpec) -> None:
    if ENVIRONMENT_PARAMETER in spec.parameters:
        raise UnsupportedError(
            f"model '{spec.name}' asks for an environment of its own by the parameter {ENVIRONMENT_PARAMETER}, which "
            "this server does not support yet: install its packages beside the server and leave the parameter out"
        )


def _completion(config: Mapping[str, Any]) -> Completion:
    signature = signature_from_config(config)
    return Completion(
        max_batch_size=signature.max_batch_size,
        inputs=signature.inputs,
        outputs=signature.outputs,
        dynamic_batching="dynamic_batching" in config,
        decoupled=config.get("model_transaction_policy", {}).get("decoupled"),
    )


def _load_error(error: BaseException, spec: ModelSpec) -> TritonpyError:
    if isinstance(error, TritonpyError):
        return error
    return InternalError(exception_text(error, spec.model_directory))

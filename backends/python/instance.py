"""One instance of a Python model: calls `initialize`, `execute` and `finalize`, and checks what `execute` returns.

The texts of misuse are Triton's; users and tests match on them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

from tritonpy.backends import request as core
from tritonpy.backends.contract import Execution, InstanceSpec, ModelSpec
from tritonpy.backends.errors import InternalError, TritonpyError
from tritonpy.backends.gather import read_array
from tritonpy.backends.python.pb_inference import InferenceRequest, InferenceResponse, ResponseState
from tritonpy.backends.python.traceback_text import exception_text
from tritonpy.protos import datatypes

logger = logging.getLogger(__name__)


class PythonInstance:
    """A `TritonPythonModel` object, behind the contract of an instance."""

    def __init__(self, model_class: Any, spec: ModelSpec, instance: InstanceSpec) -> None:
        self._spec = spec
        self._name = instance.name
        self._output_names = tuple(output.name for output in spec.signature.outputs)
        self._coroutines = CoroutineRunner()
        self._model = model_class()
        if hasattr(self._model, "initialize"):
            self._model.initialize(self._arguments(instance))

    def _arguments(self, instance: InstanceSpec) -> dict[str, str]:
        return {
            "model_config": self._spec.config_json,
            "model_instance_kind": instance.kind.value,
            "model_instance_name": instance.name,
            "model_instance_device_id": str(instance.device_id),
            "model_repository": str(self._spec.model_directory),
            "model_version": str(self._spec.version),
            "model_name": self._spec.name,
        }

    def execute(
        self, requests: Sequence[core.InferenceRequest], execution: Execution
    ) -> Sequence[core.InferenceResponse | None]:
        errors = unreadable(requests)
        readable = [(index, request) for index, request in enumerate(requests) if index not in errors]
        responses = iter(self._execute(readable, execution) if readable else ())
        return [
            core.InferenceResponse(error=errors[index]) if index in errors else next(responses)
            for index in range(len(requests))
        ]

    def _execute(
        self, requests: Sequence[tuple[int, core.InferenceRequest]], execution: Execution
    ) -> Sequence[core.InferenceResponse | None]:
        states = [
            ResponseState(request, index, execution, self._output_names, self._spec.decoupled)
            for index, request in requests
        ]
        given = [InferenceRequest(state) for state in states]
        execution.inputs_ready()
        try:
            returned = self._call_execute(given)
            execution.outputs_begin()
            if self._spec.decoupled:
                return self._check_decoupled(returned, len(requests))
            return self._responses(returned, states)
        except BaseException as error:  # a model may raise anything, SystemExit included
            for state in states:
                state.abandon()
            raise self._execution_error(error) from error

    def _call_execute(self, requests: list[InferenceRequest]) -> object:
        if not hasattr(self._model, "execute"):
            path = f"{self._spec.name}/{self._spec.version}/{self._spec.filename or 'model.py'}"
            raise InternalError(f"Python model {path} does not implement `execute` method.")
        returned = self._model.execute(requests)
        if not inspect.iscoroutine(returned):
            return returned
        if self._spec.decoupled:
            # The instance takes its next batch at once; the coroutine answers through senders.
            self._coroutines.start(returned, self._name)
            return None
        return self._coroutines.run(returned)

    def _execution_error(self, error: BaseException) -> InternalError:
        if isinstance(error, InternalError):
            text = error.message
        else:
            logger.error("model instance '%s' raised in execute", self._name, exc_info=error)
            text = exception_text(error, self._spec.model_directory)
        return InternalError(f"Failed to process the request(s) for model '{self._name}', message: {text}")

    def _check_decoupled(self, returned: object, count: int) -> list[core.InferenceResponse | None]:
        if returned is not None:
            raise InternalError(
                f"Python model '{self._name}' is using the decoupled mode and the execute function must return None."
            )
        return [None] * count

    def _responses(self, returned: object, states: list[ResponseState]) -> list[core.InferenceResponse | None]:
        if returned is None and all(state.sender_taken for state in states):
            return [None] * len(states)
        if not isinstance(returned, list):
            raise InternalError(f"Expected a list in the execute return, found type '{type(returned)}'.")
        if len(returned) != len(states):
            raise InternalError(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(states)}, and InferenceResponse(s) size is:{len(returned)}\n"
            )
        return [self._response(item, state) for item, state in zip(returned, states, strict=True)]

    def _response(self, item: object, state: ResponseState) -> core.InferenceResponse | None:
        if state.responded or (item is None and state.sender_taken):
            return None
        state.abandon()
        if item is None:
            return core.InferenceResponse(
                error=InternalError(
                    "execute returned None for a request and did not take its response sender: return an "
                    "InferenceResponse for each request, or answer it through request.get_response_sender()"
                )
            )
        if not isinstance(item, InferenceResponse):
            raise InternalError(
                "Expected an 'InferenceResponse' object in the execute function return list, found type "
                f"'{type(item)}'."
            )
        return item._for_request(state.request, state.output_names, final=True)

    def close(self) -> None:
        self._coroutines.close()
        if hasattr(self._model, "finalize"):
            try:
                self._model.finalize()
            except Exception:  # nobody waits for the outcome; the model is going away
                logger.exception("finalize of model instance '%s' failed", self._name)


def unreadable(requests: Sequence[core.InferenceRequest]) -> dict[int, TritonpyError]:
    """The requests with a BYTES input whose data does not fit its shape: they fail, not the batch they are in. (Small
    inputs were checked on arrival; the elements decoded here are those that the model will see.)"""
    errors: dict[int, TritonpyError] = {}
    for index, request in enumerate(requests):
        try:
            for tensor in request.inputs.values():
                if tensor.datatype is datatypes.BYTES:
                    read_array(tensor)
        except TritonpyError as error:
            errors[index] = error
    return errors


class CoroutineRunner:
    """The event loop of a model whose `execute` is `async def`; made when first needed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, object]) -> object:
        """Run a coroutine on the model's loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop()).result()

    def start(self, coroutine: Coroutine[Any, Any, object], instance_name: str) -> None:
        """Run a coroutine on the model's loop; an exception is only logged."""

        async def run_and_log() -> None:
            try:
                await coroutine
            except Exception:  # the coroutine's requests answer for themselves (see ResponseState)
                logger.exception("model instance '%s' raised in execute", instance_name)

        asyncio.run_coroutine_threadsafe(run_and_log(), self._running_loop())

    def close(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="model-coroutines", daemon=True).start()
        return self._loop

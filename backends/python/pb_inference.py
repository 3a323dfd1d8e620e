"""`pb_utils.InferenceRequest`, `InferenceResponse` and `InferenceResponseSender`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tritonpy.backends import request as core
from tritonpy.backends.contract import Execution
from tritonpy.backends.errors import InternalError, error_of_kind
from tritonpy.backends.python.pb_errors import TritonError, TritonModelException
from tritonpy.backends.python.pb_tensor import Tensor

_COMPLETE_FINAL = 1


class InferenceResponse:
    """A model's answer: output tensors, or an error (then the tensors are ignored)."""

    def __init__(
        self,
        output_tensors: Sequence[Tensor] = (),
        error: TritonError | None = None,
        parameters: dict[str, core.Parameter] | None = None,
    ) -> None:
        for tensor in output_tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"output_tensors must hold pb_utils.Tensor objects, got {type(tensor).__name__}")
        self._output_tensors = list(output_tensors)
        self._error = error
        self._parameters = _checked_parameters(parameters)

    def output_tensors(self) -> list[Tensor]:
        return self._output_tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error

    def parameters(self) -> str:
        """The response's parameters as JSON text."""
        return json.dumps(self._parameters)

    def _for_request(
        self, request: core.InferenceRequest, output_names: tuple[str, ...], final: bool
    ) -> core.InferenceResponse:
        """The server's form of this response: only the outputs that the client asked for, by default all that the
        model is configured to have."""
        if self._error is not None:
            error = error_of_kind(self._error.code(), self._error.message())
            return core.InferenceResponse(error=error, final=final)
        wanted = request.requested_outputs or output_names
        outputs = [tensor._tensor for tensor in self._output_tensors if tensor.name() in wanted]
        return core.InferenceResponse(outputs=outputs, parameters=self._parameters, final=final)


def _checked_parameters(parameters: dict[str, core.Parameter] | None) -> dict[str, core.Parameter]:
    for key, value in (parameters or {}).items():
        if not isinstance(key, str):
            raise TritonModelException(f"Expect parameters keys to have type str, found type {type(key)}")
        if not isinstance(value, (bool, int, str)):
            raise TritonModelException(f"Expect parameters values to have type bool/int/str, found type {type(value)}")
    return dict(parameters or {})


class ResponseState:
    """What has been sent for one request, shared by the request and its senders.

    A decoupled request whose last holder is gone without a final response gets one that says so: its client
    would wait for ever.
    """

    def __init__(
        self,
        request: core.InferenceRequest,
        index: int,
        execution: Execution,
        output_names: tuple[str, ...],
        decoupled: bool,
    ) -> None:
        self.request = request
        self.output_names = output_names
        self.sender_taken = False
        self.responded = False
        self.closed = False
        self._index = index
        self._execution = execution
        self._decoupled = decoupled

    def send(self, response: InferenceResponse | None, flags: int) -> None:
        """Send for this request; raises TritonModelException when the model breaks the rules of senders."""
        self._check(response, flags)
        final = bool(flags & _COMPLETE_FINAL)
        self.closed = final
        if response is not None:
            self.responded = True
            # A request of a model that is not decoupled has one response, so that is its last.
            last = final or not self._decoupled
            self._execution.send(self._index, response._for_request(self.request, self.output_names, last))
        elif self._decoupled:
            self._execution.send(self._index, core.InferenceResponse(final=True))

    def _check(self, response: InferenceResponse | None, flags: int) -> None:
        if flags not in (0, _COMPLETE_FINAL):
            raise TritonModelException("Unable to send response. Unsupported flag provided.")
        if self.closed:
            raise TritonModelException("Unable to send response. Response sender has been closed.")
        if response is None and not flags:
            raise TritonModelException(
                "Inference Response object must be provided when the response flags is set to zero."
            )
        if self._decoupled:
            return
        if response is not None and self.responded:
            raise TritonModelException(
                "Unable to send response. Non-decoupled model cannot send more than one response."
            )
        if response is None and not self.responded:
            raise TritonModelException(
                "Unable to send response. Non-decoupled model cannot send complete final before sending a response."
            )

    def is_cancelled(self) -> bool:
        if not self.request.cancelled:
            self._execution.poll_cancellation()
        return self.request.cancelled

    def abandon(self) -> None:
        """Nothing more will come for this request from the model, by decision of the server."""
        self.closed = True

    def __del__(self) -> None:
        if self.closed or (self.responded and not self._decoupled) or not (self._decoupled or self.sender_taken):
            return
        error = InternalError(
            "the model let go of the request without a final response: it must call send(..., "
            "flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL) once for each request"
        )
        self._execution.send(self._index, core.InferenceResponse(error=error))


class InferenceResponseSender:
    """Sends the responses of one request, from any thread, also after `execute` has returned."""

    def __init__(self, state: ResponseState) -> None:
        self._state = state

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send a response, or with `TRITONSERVER_RESPONSE_COMPLETE_FINAL` end the request."""
        self._state.send(response, flags)

    def is_cancelled(self) -> bool:
        """Whether the client has given up."""
        return self._state.is_cancelled()


class InferenceRequest:
    """A request as `execute` gets it."""

    def __init__(self, state: ResponseState) -> None:
        self._request = state.request
        self._state = state
        self._inputs = [Tensor._over(tensor) for tensor in state.request.inputs.values()]

    def inputs(self) -> list[Tensor]:
        return self._inputs

    def request_id(self) -> str:
        return self._request.id

    def correlation_id(self) -> int | str:
        """The sequence's id as the client sent it; 0 if there is none."""
        return self._request.correlation_id

    def flags(self) -> int:
        """Sequence start (1) and end (2) bits."""
        return int(self._request.flags)

    def set_flags(self, flags: int) -> None:
        self._request.flags = flags

    def timeout(self) -> int:
        """The client's queue timeout in microseconds; 0 if it gave none."""
        return self._request.timeout_us

    def parameters(self) -> str:
        """The request's custom parameters as JSON text."""
        return json.dumps(self._request.parameters)

    def requested_output_names(self) -> set[str]:
        """The outputs that the client wants; all outputs of the model if it named none."""
        return set(self._request.requested_outputs or self._state.output_names)

    def is_cancelled(self) -> bool:
        """Whether the client has given up."""
        return self._state.is_cancelled()

    def get_response_sender(self) -> InferenceResponseSender:
        """The way to answer apart from the return value of `execute`."""
        self._state.sender_taken = True
        return InferenceResponseSender(self._state)

"""One ModelStreamInfer call as an object: requests in, responses out, in the protocol's order. No I/O.

Responses to models that are not decoupled leave in the order of their requests, across all models of the stream;
so do the refusals of requests whose model is not decoupled, or not known. Responses of decoupled models leave when
they are produced. Errors are messages of the stream and do not end it, unless the client asked for strict errors:
then an error of an execution ends the stream with its status.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tritonpy.backends.errors import TritonpyError, UnavailableError
from tritonpy.backends.request import InferenceResponse
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.grpc.codec import DecodedRequest, decode_request, encode_response
from tritonpy.server.grpc.status import error_for_client, sendable

FINAL_RESPONSE = "triton_final_response"

StreamMessage = messages.ModelStreamInferResponse
SendToStream = Callable[[StreamMessage | TritonpyError | None], None]
"""Takes a message of the stream, an error that ends it with its status, or None for its good end."""
FindModel = Callable[[str, str], ServedModel]
"""Gives the model version for a name and a version text, or raises TritonpyError."""


@dataclass(slots=True, eq=False)
class _Place:
    """The place of a request in the order of responses; `message` is what to send when its turn comes."""

    message: StreamMessage | None = None


@dataclass(slots=True, eq=False)
class _Pending:
    """A request of the stream that still owes its last response. `place` is None for decoupled models."""

    decoded: DecodedRequest
    model: ServedModel
    asked_version: str
    place: _Place | None


class InferStream:
    """The state of a stream; `send` gets what goes to the client, and `on_end` is called once, after the last of it.

    `deadline_ns` (monotonic, 0 = none) is when the client stops waiting for the stream.
    """

    def __init__(
        self,
        find_model: FindModel,
        send: SendToStream,
        on_end: Callable[[InferStream], None],
        deadline_ns: int,
        strict_errors: bool,
    ) -> None:
        self._find_model = find_model
        self._send = send
        self._on_end = on_end
        self._deadline_ns = deadline_ns
        self._strict_errors = strict_errors
        self._in_order: deque[_Place] = deque()
        self._pending: set[_Pending] = set()
        self._half_closed = False
        self._closing_error: UnavailableError | None = None
        self._ended = False

    # From the client and the server.

    def receive(self, message: messages.ModelInferRequest) -> None:
        """A request from the client. Never raises: what is wrong with it is answered in its place."""
        if self._ended:
            return
        place: _Place | None = self._take_place()
        try:
            model = self._find_model(message.model_name, message.model_version)
            if model.decoupled:
                self._in_order.pop()
                place = None
            self._submit(message, model, place)
        except Exception as error:
            refusal = error_for_client(error, f"a request of a stream for model '{message.model_name}'")
            self._deliver(place, _error_message(refusal, messages.ModelInferResponse(id=message.id)))

    def half_close(self) -> None:
        """The client sends no more requests; the stream ends when all are answered."""
        self._half_closed = True
        self._end_if_finished()

    def close(self, error: UnavailableError) -> None:
        """The server is going down: the stream ends with `error` as soon as all its requests are answered."""
        self._closing_error = error
        self._end_if_finished()

    def cancel(self) -> None:
        """The client is gone: nothing more is sent, and its requests are cancelled."""
        self._end()
        for pending in tuple(self._pending):
            pending.decoded.request.cancel()

    # Requests run.

    def _submit(self, message: messages.ModelInferRequest, model: ServedModel, place: _Place | None) -> None:
        decoded = decode_request(message, model)
        decoded.request.deadline_ns = self._deadline_ns
        pending = _Pending(decoded, model, message.model_version, place)
        self._pending.add(pending)
        try:
            model.submit(decoded.request, lambda response: self._on_response(pending, response))
        except Exception:
            self._pending.discard(pending)
            raise

    def _on_response(self, pending: _Pending, response: InferenceResponse) -> None:
        if response.final:
            self._pending.discard(pending)
        if self._ended:
            return
        # An error is not raised here: it would keep its frames, and so the tensors of its request, alive.
        error, message = response.error, None
        if error is None:
            try:
                message = self._message(pending, response)
            except Exception as failure:
                error = error_for_client(failure, f"a response of model '{pending.model.name}'")
        if error is not None:
            if self._strict_errors:
                self._send(error)
                self.cancel()
                return
            message = _error_message(error, _answer_without_outputs(pending))
        if message is not None:
            message.infer_response.parameters[FINAL_RESPONSE].bool_param = response.final
            self._deliver(pending.place, message)
        self._end_if_finished()

    def _message(self, pending: _Pending, response: InferenceResponse) -> StreamMessage | None:
        """What to send for a good response; None for an empty last one that the client did not ask for. Raises what
        `encode_response` raises."""
        if response.is_empty and pending.model.decoupled:
            if not (response.final and pending.decoded.empty_final_response):
                return None
            return StreamMessage(infer_response=_answer_without_outputs(pending))
        return StreamMessage(infer_response=encode_response(pending.decoded, pending.model, response))

    # To the client.

    def _take_place(self) -> _Place:
        place = _Place()
        self._in_order.append(place)
        return place

    def _deliver(self, place: _Place | None, message: StreamMessage) -> None:
        if place is None:
            self._send(message)
            return
        place.message = message
        while self._in_order and (next_message := self._in_order[0].message) is not None:
            self._in_order.popleft()
            self._send(next_message)

    def _end_if_finished(self) -> None:
        if self._pending or self._ended:
            return
        if self._half_closed or self._closing_error is not None:
            self._send(None if self._half_closed else self._closing_error)
            self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(self)


def _answer_without_outputs(pending: _Pending) -> messages.ModelInferResponse:
    """Names the version only as the client did, like the real server."""
    return messages.ModelInferResponse(
        model_name=pending.model.name, model_version=pending.asked_version, id=pending.decoded.request.id
    )


def _error_message(error: TritonpyError, answer: messages.ModelInferResponse) -> StreamMessage:
    # Clients see an error by its text, so there must be one.
    return StreamMessage(error_message=sendable(error.message) or error.kind.phrase, infer_response=answer)

"""One ModelStreamInfer call as an object: requests in, responses out, in the protocol's order. No I/O.

Responses to models that are not decoupled leave in the order of their requests, across all models of the stream;
responses of decoupled models leave when they are produced. Errors are messages of the stream and do not end it,
unless the client asked for strict errors: then an error of an execution ends the stream with its status.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tritonpy.backends.errors import TritonpyError
from tritonpy.backends.request import InferenceResponse
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.engine import Engine
from tritonpy.server.grpc.codec import FINAL_RESPONSE, DecodedRequest, decode_request, encode_response

StreamMessage = messages.ModelStreamInferResponse
SendToStream = Callable[[StreamMessage | TritonpyError | None], None]
"""Takes a message of the stream, an error that ends it with its status, or None for its good end."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A request of the stream that still owes its last response. `message` is a response that has to wait."""

    decoded: DecodedRequest
    model: ServedModel
    asked_version: str
    message: StreamMessage | None = None


class InferStream:
    """The state of a stream; `send` gets what goes to the client."""

    def __init__(self, engine: Engine, send: SendToStream, deadline_ns: int, strict_errors: bool) -> None:
        self._engine = engine
        self._send = send
        self._deadline_ns = deadline_ns
        self._strict_errors = strict_errors
        self._in_order: deque[_Pending] = deque()
        self._pending: set[_Pending] = set()
        self._half_closed = False
        self._ended = False

    def receive(self, message: messages.ModelInferRequest) -> None:
        """A request from the client. Never raises for what the client did wrong."""
        if self._ended:
            return
        try:
            self._submit(message)
        except TritonpyError as error:
            self._send(_error_message(error, messages.ModelInferResponse(id=message.id)))

    def half_close(self) -> None:
        """The client sends no more requests; the stream ends when all are answered."""
        self._half_closed = True
        self._end_if_finished()

    def cancel(self) -> None:
        """The client is gone: nothing more is sent, and its requests are cancelled."""
        self._ended = True
        for pending in tuple(self._pending):
            pending.decoded.request.cancel()

    def _submit(self, message: messages.ModelInferRequest) -> None:
        model = self._engine.model(message.model_name, message.model_version)
        decoded = decode_request(message, model)
        decoded.request.deadline_ns = self._deadline_ns
        pending = _Pending(decoded, model, message.model_version)
        self._pending.add(pending)
        if not model.decoupled:
            self._in_order.append(pending)
        try:
            model.submit(decoded.request, lambda response: self._on_response(pending, response))
        except TritonpyError:
            self._forget(pending)
            raise

    def _on_response(self, pending: _Pending, response: InferenceResponse) -> None:
        if response.final:
            self._pending.discard(pending)
        if self._ended:
            return
        if response.error is not None and self._strict_errors:
            self._end_with(response.error)
            return
        message = self._message(pending, response)
        if pending.model.decoupled:
            if message is not None:
                self._send(message)
        else:
            pending.message = message
            self._send_in_order()
        self._end_if_finished()

    def _send_in_order(self) -> None:
        while self._in_order and self._in_order[0].message is not None:
            self._send(self._in_order.popleft().message)

    def _message(self, pending: _Pending, response: InferenceResponse) -> StreamMessage | None:
        """What to send for a response; None for an empty last one that the client did not ask for."""
        decoded = pending.decoded
        try:
            if response.error is not None:
                raise response.error
            if response.is_empty and pending.model.decoupled:
                if not (response.final and decoded.empty_final_response):
                    return None
                answer = self._bare_answer(pending)
            else:
                answer = encode_response(decoded, pending.model, response)
        except TritonpyError as error:
            answer = self._bare_answer(pending)
            answer.parameters[FINAL_RESPONSE].bool_param = response.final
            return _error_message(error, answer)
        answer.parameters[FINAL_RESPONSE].bool_param = response.final
        return StreamMessage(infer_response=answer)

    def _bare_answer(self, pending: _Pending) -> messages.ModelInferResponse:
        """A response without outputs: it names the version only as the client did."""
        return messages.ModelInferResponse(
            model_name=pending.model.name, model_version=pending.asked_version, id=pending.decoded.request.id
        )

    def _forget(self, pending: _Pending) -> None:
        self._pending.discard(pending)
        if pending in self._in_order:
            self._in_order.remove(pending)

    def _end_with(self, error: TritonpyError) -> None:
        self.cancel()
        self._send(error)

    def _end_if_finished(self) -> None:
        if self._half_closed and not self._pending and not self._ended:
            self._ended = True
            self._send(None)


def _error_message(error: TritonpyError, answer: messages.ModelInferResponse) -> StreamMessage:
    return StreamMessage(error_message=error.message, infer_response=answer)

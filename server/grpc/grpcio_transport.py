"""The service on grpcio's asyncio server: the complete transport (TLS, compression, keep-alive are grpcio's)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from tritonpy.backends.errors import TritonpyError, UnavailableError
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.server.grpc import methods
from tritonpy.server.grpc.codec import LARGEST_MESSAGE_BYTES
from tritonpy.server.grpc.options import GrpcOptions
from tritonpy.server.grpc.outgoing import OutgoingQueue
from tritonpy.server.grpc.service import Answer, InferenceService
from tritonpy.server.grpc.status import error_for_client, status_of, unparsable
from tritonpy.server.grpc.stream import InferStream

STRICT_ERRORS = "triton_grpc_error"
_NS_PER_S = 1_000_000_000
_STATUS_BY_CODE = {code.value[0]: code for code in grpc.StatusCode}

logger = logging.getLogger(__name__)

# grpcio has no types. What its handlers get and give:
Context = Any  # grpc.aio.ServicerContext
Handler = Any  # grpc.RpcMethodHandler
Call = Callable[[Any], Message | Awaitable[Message]]


class GrpcServer:
    """grpcio's server with the methods of the table."""

    def __init__(self, service: InferenceService, options: GrpcOptions) -> None:
        self._service = service
        self._options = options
        self._server: Any = None  # grpc.aio.Server
        self.port = options.port

    def bind(self) -> None:
        """Take the port (0: any free one, see `port`); raises UnavailableError if it is in use."""
        self._server = grpc.aio.server(options=channel_arguments(self._options))
        self._server.add_generic_rpc_handlers((*_service_handlers(self._service), _UnknownMethods()))
        address = f"{self._options.address}:{self._options.port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise UnavailableError(f"Socket '{address}' already in use ") from error

    async def start(self) -> None:
        """Answer calls."""
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Refuse new requests, give those in flight `grace_s` to end, then close the port."""
        if self._server is None:
            return
        # Other calls are answered until the end, so that clients and probes learn why.
        deadline_s = time.monotonic() + grace_s
        drained = asyncio.Event()
        self._service.drain(drained.set)
        try:
            await asyncio.wait_for(drained.wait(), grace_s)
        except asyncio.TimeoutError:
            logger.warning("gRPC requests in flight did not end within %g s; they are cancelled", grace_s)
        await self._server.stop(max(0.0, deadline_s - time.monotonic()))


def channel_arguments(options: GrpcOptions) -> list[tuple[str, int]]:
    """grpcio's channel arguments for the options."""
    arguments = {
        "grpc.max_receive_message_length": LARGEST_MESSAGE_BYTES,
        "grpc.max_send_message_length": LARGEST_MESSAGE_BYTES,
        "grpc.so_reuseport": int(options.reuse_port),
        "grpc.keepalive_time_ms": options.keepalive_time_ms,
        "grpc.keepalive_timeout_ms": options.keepalive_timeout_ms,
        "grpc.keepalive_permit_without_calls": int(options.keepalive_permit_without_calls),
        "grpc.http2.max_pings_without_data": options.http2_max_pings_without_data,
        "grpc.http2.min_ping_interval_without_data_ms": options.http2_min_recv_ping_interval_without_data_ms,
        "grpc.http2.max_ping_strikes": options.http2_max_ping_strikes,
    }
    if options.max_connection_age_ms:
        arguments["grpc.max_connection_age_ms"] = options.max_connection_age_ms
    if options.max_connection_age_grace_ms:
        arguments["grpc.max_connection_age_grace_ms"] = options.max_connection_age_grace_ms
    return list(arguments.items())


def _service_handlers(service: InferenceService) -> list[Handler]:
    """grpcio's handlers for both services."""
    by_service: dict[str, dict[str, Handler]] = {methods.INFERENCE_SERVICE: {}, methods.HEALTH_SERVICE: {}}
    for method in methods.UNARY:
        handle = _unary(method.path, getattr(service, method.handler))
        by_service[method.service][method.name] = grpc.unary_unary_rpc_method_handler(
            handle, _parser(method.request), _serialize
        )
    inference = by_service[methods.INFERENCE_SERVICE]
    inference[methods.MODEL_INFER.name] = grpc.unary_unary_rpc_method_handler(
        _model_infer(service), _parser(methods.MODEL_INFER.request), _serialize
    )
    inference[methods.MODEL_STREAM_INFER.name] = grpc.stream_stream_rpc_method_handler(
        _model_stream_infer(service), _parser(methods.MODEL_STREAM_INFER.request)
    )
    return [grpc.method_handlers_generic_handler(name, handlers) for name, handlers in by_service.items()]


class _UnknownMethods(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """Answers calls that do not exist as Triton does: UNIMPLEMENTED without details."""

    def service(self, handler_call_details: Any) -> Handler:  # grpcio's own signature
        async def refuse(_: Any, context: Context) -> None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "")

        return grpc.unary_unary_rpc_method_handler(refuse)


# Messages. Bytes that are no message become None: an exception in grpcio's deserializer would reach the client as an
# unknown error.


def _parser(message_class: type[Message]) -> Callable[[bytes], Message | None]:
    from_string = message_class.FromString

    def parse(data: bytes) -> Message | None:
        try:
            return from_string(data)
        except DecodeError:
            return None

    return parse


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


# Calls.


async def _abort(context: Context, error: TritonpyError, deadline_ns: int = 0) -> None:
    """End a call with the status of `error`, by raising grpcio's exception for that."""
    status = status_of(error, deadline_ns)
    await context.abort(_STATUS_BY_CODE[status.code], status.details)


def _deadline_ns(context: Context) -> int:
    """When the client stops waiting, 0 for never."""
    remaining_s = context.time_remaining()
    return 0 if remaining_s is None else time.monotonic_ns() + int(remaining_s * _NS_PER_S)


def _unary(path: str, call: Call) -> Callable[[Message | None, Context], Awaitable[Message | None]]:
    async def handle(message: Message | None, context: Context) -> Message | None:
        try:
            if message is None:
                raise unparsable()
            answer = call(message)
            if isinstance(answer, Message):
                return answer
            # Shielded, because loading a model goes on when the client that asked for it has gone.
            return await asyncio.shield(answer)
        except Exception as failure:
            error = error_for_client(failure, f"a call of {path}")
        await _abort(context, error)
        return None

    return handle


def _model_infer(
    service: InferenceService,
) -> Callable[[messages.ModelInferRequest | None, Context], Awaitable[Message | None]]:
    async def handle(message: messages.ModelInferRequest | None, context: Context) -> Message | None:
        if message is None:
            await _abort(context, unparsable())
            return None
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def answer(result: Answer) -> None:
            if not future.done():  # it is, when the client has cancelled the call
                future.set_result(result)

        deadline_ns = _deadline_ns(context)
        cancel = service.infer(message, deadline_ns, answer)
        try:
            result = await future
        except asyncio.CancelledError:
            if cancel is not None:
                cancel()
            raise
        if isinstance(result, TritonpyError):
            await _abort(context, result, deadline_ns)
            return None
        return result

    return handle


def _model_stream_infer(
    service: InferenceService,
) -> Callable[[AsyncIterator[messages.ModelInferRequest | None], Context], AsyncIterator[bytes]]:
    async def handle(
        requests: AsyncIterator[messages.ModelInferRequest | None], context: Context
    ) -> AsyncIterator[bytes]:
        outgoing = OutgoingQueue()
        stream = service.open_stream(outgoing.put, _deadline_ns(context), _wants_strict_errors(context))
        reading = asyncio.ensure_future(_read_requests(requests, stream, outgoing))
        try:
            while (item := await outgoing.get()) is not None:
                if isinstance(item, TritonpyError):
                    reading.cancel()  # first, or it fails because of the abort
                    await _abort(context, item)
                    return
                yield item
        finally:
            reading.cancel()
            stream.cancel()

    return handle


async def _read_requests(
    requests: AsyncIterator[messages.ModelInferRequest | None], stream: InferStream, outgoing: OutgoingQueue
) -> None:
    """Give the stream what the client sends; a message that cannot be parsed ends the call."""
    try:
        async for message in requests:
            if message is None:
                raise unparsable()
            stream.receive(message)
            await outgoing.wait_for_room()
    except Exception as error:
        stream.cancel()
        outgoing.put(error_for_client(error, "a stream's next request"))
    else:
        stream.half_close()


def _wants_strict_errors(context: Context) -> bool:
    return any(key == STRICT_ERRORS and value == "true" for key, value in context.invocation_metadata() or ())

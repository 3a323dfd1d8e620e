"""The service behind every gRPC transport: messages in, messages out. Nothing here knows a network.

The calls of `methods.UNARY` return their answer (or a coroutine of it) or raise TritonpyError. `infer` answers
through a call-back, so that a transport needs no task for it; `open_stream` gives the object of a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn

from google.protobuf.message import Message

from tritonpy.backends.errors import InvalidArgumentError, TritonpyError, UnavailableError, UnsupportedError
from tritonpy.backends.request import InferenceResponse
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.protos.generated import health_pb2
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.engine import Engine, TensorMetadata
from tritonpy.server.grpc.codec import DecodedRequest, decode_request, encode_response
from tritonpy.server.grpc.statistics_messages import statistics_message
from tritonpy.server.grpc.status import error_for_client
from tritonpy.server.grpc.stream import InferStream, SendToStream

Answer = messages.ModelInferResponse | TritonpyError
Cancel = Callable[[], None]
ServingStatus = health_pb2.HealthCheckResponse.ServingStatus


class InferenceService:
    """GRPCInferenceService and grpc.health.v1.Health over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._in_flight_count = 0
        self._streams: set[InferStream] = set()
        self._on_drained: Callable[[], None] | None = None

    # Inference.

    def infer(
        self, message: messages.ModelInferRequest, deadline_ns: int, answer: Callable[[Answer], None]
    ) -> Cancel | None:
        """Run a request; `answer` gets the message or the error, once, on the loop, perhaps before this returns.

        `deadline_ns` (monotonic, 0 = none) is when the client stops waiting. Returns what to call when the client
        cancels; None if there is nothing to cancel any more.
        """
        try:
            model = self._find_model(message.model_name, message.model_version)
            if model.decoupled:
                raise UnsupportedError("ModelInfer RPC doesn't support models with decoupled transaction policy")
            decoded = decode_request(message, model)
            decoded.request.deadline_ns = deadline_ns

            def reply(response: InferenceResponse) -> None:
                answer(_answer(decoded, model, response))
                self._in_flight_count -= 1
                self._tell_if_drained()

            self._in_flight_count += 1
            try:
                model.submit(decoded.request, reply)
            except Exception:
                self._in_flight_count -= 1
                raise
        except Exception as error:
            answer(error_for_client(error, f"a request for model '{message.model_name}'"))
            return None
        return decoded.request.cancel

    def open_stream(self, send: SendToStream, deadline_ns: int, strict_errors: bool) -> InferStream:
        """A new ModelStreamInfer call, whose responses go to `send`."""
        stream = InferStream(self._find_model, send, self._forget_stream, deadline_ns, strict_errors)
        self._streams.add(stream)
        return stream

    def _forget_stream(self, stream: InferStream) -> None:
        self._streams.discard(stream)
        self._tell_if_drained()

    def _find_model(self, name: str, version: str) -> ServedModel:
        if self._on_drained is not None:
            raise _stopping_error()
        return self._engine.model(name, version)

    # The end.

    def drain(self, on_drained: Callable[[], None]) -> None:
        """The server is going down: refuse new requests, and end streams when their requests are answered.
        `on_drained` is called when nothing is in flight any more, perhaps before this returns."""
        self._on_drained = on_drained
        for stream in tuple(self._streams):
            stream.close(_stopping_error())
        self._tell_if_drained()

    def _tell_if_drained(self) -> None:
        if self._on_drained is not None and not self._in_flight_count and not self._streams:
            self._on_drained()

    # Health and metadata.

    def server_live(self, _: messages.ServerLiveRequest) -> messages.ServerLiveResponse:
        return messages.ServerLiveResponse(live=self._engine.is_live())

    def server_ready(self, _: messages.ServerReadyRequest) -> messages.ServerReadyResponse:
        return messages.ServerReadyResponse(ready=self._engine.is_ready())

    def model_ready(self, message: messages.ModelReadyRequest) -> messages.ModelReadyResponse:
        return messages.ModelReadyResponse(ready=self._engine.is_model_ready(message.name, message.version))

    def health_check(self, _: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        """The whole server's health; the name of the service asked for does not matter, as in Triton."""
        ready = self._engine.is_ready()
        return health_pb2.HealthCheckResponse(status=ServingStatus.SERVING if ready else ServingStatus.NOT_SERVING)

    def server_metadata(self, _: messages.ServerMetadataRequest) -> messages.ServerMetadataResponse:
        metadata = self._engine.metadata()
        return messages.ServerMetadataResponse(
            name=metadata.name, version=metadata.version, extensions=metadata.extensions
        )

    def model_metadata(self, message: messages.ModelMetadataRequest) -> messages.ModelMetadataResponse:
        metadata = self._engine.model_metadata(message.name, message.version)
        return messages.ModelMetadataResponse(
            name=metadata.name,
            versions=metadata.versions,
            platform=metadata.platform,
            inputs=_tensors(metadata.inputs),
            outputs=_tensors(metadata.outputs),
        )

    def model_config(self, message: messages.ModelConfigRequest) -> messages.ModelConfigResponse:
        return messages.ModelConfigResponse(config=self._engine.model(message.name, message.version).config)

    def model_statistics(self, message: messages.ModelStatisticsRequest) -> messages.ModelStatisticsResponse:
        models = self._engine.statistics(message.name, message.version)
        return messages.ModelStatisticsResponse(model_stats=[statistics_message(model) for model in models])

    # Repository.

    def repository_index(self, message: messages.RepositoryIndexRequest) -> messages.RepositoryIndexResponse:
        _check_no_repository(message.repository_name)
        return messages.RepositoryIndexResponse(
            models=[
                messages.RepositoryIndexResponse.ModelIndex(
                    name=entry.name, version=entry.version, state=entry.state, reason=entry.reason
                )
                for entry in self._engine.repository_index(message.ready)
            ]
        )

    async def repository_model_load(
        self, message: messages.RepositoryModelLoadRequest
    ) -> messages.RepositoryModelLoadResponse:
        _check_no_repository(message.repository_name)
        config: str | None = None
        files: dict[str, bytes] = {}
        for key, parameter in message.parameters.items():
            if key == "config":
                _check_load_parameter(key, parameter, "string_param")
                config = parameter.string_param
            elif key.startswith("file:"):
                _check_load_parameter(key, parameter, "bytes_param")
                files[key.removeprefix("file:")] = parameter.bytes_param
            else:
                raise InvalidArgumentError(f"unrecognized load parameter '{key}'.")
        await self._engine.load_model(message.model_name, config, files)
        return messages.RepositoryModelLoadResponse()

    async def repository_model_unload(
        self, message: messages.RepositoryModelUnloadRequest
    ) -> messages.RepositoryModelUnloadResponse:
        _check_no_repository(message.repository_name)
        unload_dependents = False
        if "unload_dependents" in message.parameters:
            parameter = message.parameters["unload_dependents"]
            if parameter.WhichOneof("parameter_choice") != "bool_param":
                raise InvalidArgumentError("invalid value type for 'unload_dependents' parameter, expected bool_param.")
            unload_dependents = parameter.bool_param
        await self._engine.unload_model(message.model_name, unload_dependents)
        return messages.RepositoryModelUnloadResponse()

    # Extensions that clients know and this server does not have.

    def shared_memory(self, _: Message) -> NoReturn:
        raise UnsupportedError(
            "shared-memory regions are not supported by this server yet: send tensors in the messages"
        )

    def trace_setting(self, _: messages.TraceSettingRequest) -> NoReturn:
        raise UnsupportedError("trace settings are not supported by this server yet")

    def log_settings(self, _: messages.LogSettingsRequest) -> NoReturn:
        raise UnsupportedError("log settings are not supported by this server yet: set them when it is started")


def _answer(decoded: DecodedRequest, model: ServedModel, response: InferenceResponse) -> Answer:
    if response.error is not None:
        return response.error
    try:
        return encode_response(decoded, model, response)
    except Exception as error:
        return error_for_client(error, f"a response of model '{model.name}'")


def _stopping_error() -> UnavailableError:
    return UnavailableError("GRPC server is shutting down and has stopped accepting new requests.")


def _check_no_repository(name: str) -> None:
    if name:
        raise UnsupportedError("'repository_name' specification is not supported")


def _check_load_parameter(key: str, parameter: messages.ModelRepositoryParameter, expected: str) -> None:
    if parameter.WhichOneof("parameter_choice") != expected:
        raise InvalidArgumentError(f"invalid value type for load parameter '{key}', expected {expected}.")


def _tensors(tensors: Iterable[TensorMetadata]) -> list[messages.ModelMetadataResponse.TensorMetadata]:
    return [
        messages.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        for tensor in tensors
    ]

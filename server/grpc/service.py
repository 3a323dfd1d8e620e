"""The service behind every gRPC transport: messages in, messages out. Nothing here knows a network.

Immediate calls return their answer or raise TritonpyError. `infer` answers through a call-back, so that a transport
needs no task for it; `open_stream` gives the object of a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tritonpy.backends.errors import InvalidArgumentError, TritonpyError, UnavailableError, UnsupportedError
from tritonpy.backends.request import InferenceResponse
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.protos.generated import health_pb2
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.scheduler.statistics import BatchStatistics, DurationCounter
from tritonpy.server.engine import Engine, TensorMetadata
from tritonpy.server.grpc.codec import decode_request, encode_response
from tritonpy.server.grpc.stream import InferStream, SendToStream

Answer = messages.ModelInferResponse | TritonpyError
Cancel = Callable[[], None]
ServingStatus = health_pb2.HealthCheckResponse.ServingStatus


class InferenceService:
    """GRPCInferenceService and grpc.health.v1.Health over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Inference.

    def infer(
        self, message: messages.ModelInferRequest, deadline_ns: int, answer: Callable[[Answer], None]
    ) -> Cancel | None:
        """Run a request; `answer` gets the message or the error, once, on the loop, perhaps before this returns.

        `deadline_ns` (monotonic, 0 = none) is when the client stops waiting. Returns what to call when the client
        cancels; None if there is nothing to cancel any more.
        """
        try:
            model = self._engine.model(message.model_name, message.model_version)
            if model.decoupled:
                raise UnsupportedError("ModelInfer RPC doesn't support models with decoupled transaction policy")
            decoded = decode_request(message, model)
            decoded.request.deadline_ns = deadline_ns

            def reply(response: InferenceResponse) -> None:
                if response.error is not None:
                    answer(response.error)
                    return
                try:
                    answer(encode_response(decoded, model, response))
                except TritonpyError as error:
                    answer(error)

            model.submit(decoded.request, reply)
        except TritonpyError as error:
            answer(error)
            return None
        return decoded.request.cancel

    def open_stream(self, send: SendToStream, deadline_ns: int, strict_errors: bool) -> InferStream:
        """A new ModelStreamInfer call, whose responses go to `send`."""
        return InferStream(self._engine, send, deadline_ns, strict_errors)

    # Health and metadata.

    def server_live(self, _: messages.ServerLiveRequest) -> messages.ServerLiveResponse:
        return messages.ServerLiveResponse(live=self._engine.is_live())

    def server_ready(self, _: messages.ServerReadyRequest) -> messages.ServerReadyResponse:
        return messages.ServerReadyResponse(ready=self._engine.is_ready())

    def model_ready(self, message: messages.ModelReadyRequest) -> messages.ModelReadyResponse:
        return messages.ModelReadyResponse(ready=self._engine.is_model_ready(message.name, message.version))

    def health_check(self, _: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        """The whole server's health; the name of the service asked for does not matter, as in Triton."""
        try:
            status = ServingStatus.SERVING if self._engine.is_ready() else ServingStatus.NOT_SERVING
        except UnavailableError:
            status = ServingStatus.NOT_SERVING
        return health_pb2.HealthCheckResponse(status=status)

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
        return messages.ModelStatisticsResponse(model_stats=[_statistics(model) for model in models])

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


def _duration(counter: DurationCounter) -> messages.StatisticDuration:
    return messages.StatisticDuration(count=counter.count, ns=counter.ns)


def _statistics(model: ServedModel) -> messages.ModelStatistics:
    counted = model.statistics
    return messages.ModelStatistics(
        name=model.name,
        version=str(model.version),
        last_inference=counted.last_inference_ms,
        inference_count=counted.inference_count,
        execution_count=counted.execution_count,
        inference_stats=messages.InferStatistics(
            success=_duration(counted.success),
            fail=_duration(counted.fail),
            queue=_duration(counted.queue),
            compute_input=_duration(counted.compute_input),
            compute_infer=_duration(counted.compute_infer),
            compute_output=_duration(counted.compute_output),
            cache_hit=_duration(counted.cache_hit),
            cache_miss=_duration(counted.cache_miss),
        ),
        batch_stats=[_batch(size, batch) for size, batch in sorted(counted.batch_stats.items())],
    )


def _batch(size: int, batch: BatchStatistics) -> messages.InferBatchStatistics:
    return messages.InferBatchStatistics(
        batch_size=size,
        compute_input=_duration(batch.compute_input),
        compute_infer=_duration(batch.compute_infer),
        compute_output=_duration(batch.compute_output),
    )

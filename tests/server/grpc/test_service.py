"""The service: messages in, messages out, on an engine without models of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from tests.server.fake_engine import FakeEngine, FakeModel, example_engine
from tests.server.grpc.infer_errors import INFER_ERRORS
from tests.server.grpc.requests import TWO_FLOATS, infer_request
from tritonpy.backends.errors import InternalError, TritonpyError, UnavailableError, UnsupportedError
from tritonpy.backends.request import InferenceResponse
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.protos.generated import health_pb2
from tritonpy.repository.states import IndexEntry
from tritonpy.scheduler.statistics import BatchStatistics
from tritonpy.server.grpc import methods
from tritonpy.server.grpc.service import Answer, InferenceService
from tritonpy.server.grpc.status import SERVER_FAULT
from tritonpy.server.grpc.stream import StreamMessage

STOPPING = "GRPC server is shutting down and has stopped accepting new requests."


@pytest.fixture
def engine() -> FakeEngine:
    return example_engine()


@pytest.fixture
def service(engine: FakeEngine) -> InferenceService:
    return InferenceService(engine.as_engine())


def answer_of(service: InferenceService, message: messages.ModelInferRequest) -> Answer:
    """The one answer of a model that answers while it is asked."""
    answers: list[Answer] = []
    service.infer(message, 0, answers.append)
    (answer,) = answers
    return answer


def model_of(engine: FakeEngine, name: str) -> FakeModel:
    return next(model for model in engine.models if model.name == name)


# Inference.


def test_infer_answers(service: InferenceService, engine: FakeEngine) -> None:
    answer = answer_of(service, infer_request(id="abc"))
    assert isinstance(answer, messages.ModelInferResponse)
    assert (answer.model_name, answer.model_version, answer.id) == ("identity", "1", "abc")
    assert list(answer.raw_output_contents) == [TWO_FLOATS]


def test_infer_answers_with_the_version_that_was_asked(service: InferenceService) -> None:
    inputs = infer_request().inputs
    inputs[0].shape[:] = [2]
    versions = [answer_of(service, infer_request("two", inputs, version=text)) for text in ("", "1", "03")]
    assert [answer.model_version for answer in versions if isinstance(answer, messages.ModelInferResponse)] == [
        "3",
        "1",
        "3",
    ]


@pytest.mark.parametrize("case", INFER_ERRORS)
def test_infer_refuses(service: InferenceService, case: str) -> None:
    message, kind, text = INFER_ERRORS[case]
    error = answer_of(service, message)
    assert isinstance(error, TritonpyError)
    assert (error.kind, error.message) == (kind, text)


def test_infer_refuses_decoupled_models(service: InferenceService) -> None:
    error = answer_of(service, infer_request("repeat"))
    assert isinstance(error, UnsupportedError)
    assert error.message == "ModelInfer RPC doesn't support models with decoupled transaction policy"


def test_infer_answers_later_and_can_be_cancelled(service: InferenceService, engine: FakeEngine) -> None:
    identity = model_of(engine, "identity")
    identity.hold_replies()
    answers: list[Answer] = []
    cancel = service.infer(infer_request(), 5_000, answers.append)
    assert answers == []
    (request,) = identity.requests
    assert request.deadline_ns == 5_000
    assert cancel is not None
    cancel()
    assert request.cancelled
    identity.release()
    assert len(answers) == 1


def test_nothing_is_left_to_cancel_of_a_refused_request(service: InferenceService) -> None:
    assert service.infer(infer_request("nosuch"), 0, lambda answer: None) is None


def test_infer_passes_errors_of_the_model_on(service: InferenceService, engine: FakeEngine) -> None:
    error = InternalError("the model failed")
    model_of(engine, "identity").handler = lambda request: InferenceResponse(error=error)
    assert answer_of(service, infer_request()) is error


def test_infer_answers_when_the_server_is_at_fault(
    service: InferenceService, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    model_of(engine, "identity").handler = lambda request: InferenceResponse(parameters={"\udc80": 1})
    error = answer_of(service, infer_request())
    assert isinstance(error, InternalError)
    assert error.message == SERVER_FAULT
    assert "a response of model 'identity' could not be answered" in caplog.text


def test_a_request_that_breaks_the_server_is_answered(
    service: InferenceService, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str, version: str = "") -> object:
        raise KeyError("a bug")

    engine.model = broken  # type: ignore[assignment,method-assign]
    error = answer_of(service, infer_request())
    assert isinstance(error, InternalError)
    assert error.message == SERVER_FAULT
    assert "KeyError: 'a bug'" in caplog.text


# Health, metadata, statistics.


def test_health(service: InferenceService, engine: FakeEngine) -> None:
    assert service.server_live(messages.ServerLiveRequest()).live
    assert service.server_ready(messages.ServerReadyRequest()).ready
    assert service.model_ready(messages.ModelReadyRequest(name="identity")).ready
    check = health_pb2.HealthCheckRequest(service="of any name")
    assert service.health_check(check).status == health_pb2.HealthCheckResponse.SERVING
    engine.live = engine.ready = False
    engine.not_ready_models.add("identity")
    assert not service.server_live(messages.ServerLiveRequest()).live
    assert not service.server_ready(messages.ServerReadyRequest()).ready
    assert not service.model_ready(messages.ModelReadyRequest(name="identity", version="1")).ready
    assert service.health_check(check).status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize(
    ("method", "request_message"),
    [
        (InferenceService.server_live, messages.ServerLiveRequest()),
        (InferenceService.server_ready, messages.ServerReadyRequest()),
        (InferenceService.health_check, health_pb2.HealthCheckRequest()),
        (InferenceService.model_ready, messages.ModelReadyRequest(name="identity")),
        (InferenceService.repository_index, messages.RepositoryIndexRequest()),
    ],
)
def test_while_the_server_goes_down(
    service: InferenceService,
    engine: FakeEngine,
    method: Callable[[InferenceService, Message], Message],
    request_message: Message,
) -> None:
    engine.failure = UnavailableError("Server exiting")
    with pytest.raises(UnavailableError, match="Server exiting"):
        method(service, request_message)


def test_server_metadata(service: InferenceService) -> None:
    assert service.server_metadata(messages.ServerMetadataRequest()) == messages.ServerMetadataResponse(
        name="triton", version="0.0.1", extensions=["binary_tensor_data", "statistics"]
    )


def test_model_metadata(service: InferenceService) -> None:
    tensor = messages.ModelMetadataResponse.TensorMetadata
    assert service.model_metadata(messages.ModelMetadataRequest(name="pair")) == messages.ModelMetadataResponse(
        name="pair",
        versions=["1"],
        platform="python",
        inputs=[tensor(name=f"INPUT{i}", datatype="INT32", shape=[-1, 16]) for i in (0, 1)],
        outputs=[tensor(name=f"OUTPUT{i}", datatype="INT32", shape=[-1, 16]) for i in (0, 1)],
    )
    assert service.model_metadata(messages.ModelMetadataRequest(name="two")).versions == ["1", "3"]
    assert service.model_metadata(messages.ModelMetadataRequest(name="two", version="1")).versions == ["1"]


def test_model_config(service: InferenceService, engine: FakeEngine) -> None:
    response = service.model_config(messages.ModelConfigRequest(name="identity"))
    assert response.config == model_of(engine, "identity").config


def test_statistics(service: InferenceService, engine: FakeEngine) -> None:
    counted = model_of(engine, "identity").statistics
    counted.inference_count, counted.execution_count, counted.last_inference_ms = 5, 2, 1_700_000_000_000
    counters = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
    for index, name in enumerate((*counters, "cache_hit", "cache_miss")):
        getattr(counted, name).add(1000 + index)
    for size in (4, 1):
        counted.batch_stats[size] = BatchStatistics()
    counted.batch_stats[4].compute_infer.add(7)
    response = service.model_statistics(messages.ModelStatisticsRequest(name="identity", version="1"))
    assert MessageToDict(response, preserving_proto_field_name=True) == {
        "model_stats": [
            {
                "name": "identity",
                "version": "1",
                "last_inference": "1700000000000",
                "inference_count": "5",
                "execution_count": "2",
                "inference_stats": {
                    "success": {"count": "1", "ns": "1000"},
                    "fail": {"count": "1", "ns": "1001"},
                    "queue": {"count": "1", "ns": "1002"},
                    "compute_input": {"count": "1", "ns": "1003"},
                    "compute_infer": {"count": "1", "ns": "1004"},
                    "compute_output": {"count": "1", "ns": "1005"},
                    "cache_hit": {"count": "1", "ns": "1006"},
                    "cache_miss": {"count": "1", "ns": "1007"},
                },
                "batch_stats": [
                    {"batch_size": "1", "compute_input": {}, "compute_infer": {}, "compute_output": {}},
                    {
                        "batch_size": "4",
                        "compute_input": {},
                        "compute_infer": {"count": "1", "ns": "7"},
                        "compute_output": {},
                    },
                ],
            }
        ]
    }


def test_statistics_of_all_models(service: InferenceService, engine: FakeEngine) -> None:
    response = service.model_statistics(messages.ModelStatisticsRequest())
    assert [(entry.name, entry.version) for entry in response.model_stats] == sorted(
        (model.name, str(model.version)) for model in engine.models
    )


def test_statistics_of_an_unknown_model(service: InferenceService) -> None:
    with pytest.raises(TritonpyError, match="requested model 'nosuch' is not available"):
        service.model_statistics(messages.ModelStatisticsRequest(name="nosuch"))


# Repository.


def test_repository_index(service: InferenceService, engine: FakeEngine) -> None:
    engine.index = [IndexEntry("broken", "1", "UNAVAILABLE", "no file"), IndexEntry("identity", "1", "READY")]
    entry = messages.RepositoryIndexResponse.ModelIndex
    ready = entry(name="identity", version="1", state="READY")
    assert list(service.repository_index(messages.RepositoryIndexRequest()).models) == [
        entry(name="broken", version="1", state="UNAVAILABLE", reason="no file"),
        ready,
    ]
    assert list(service.repository_index(messages.RepositoryIndexRequest(ready=True)).models) == [ready]


Value = messages.ModelRepositoryParameter


def load(service: InferenceService, **fields: object) -> None:
    message = messages.RepositoryModelLoadRequest(model_name="m", **fields)  # type: ignore[arg-type]
    asyncio.run(service.repository_model_load(message))


def unload(service: InferenceService, **fields: object) -> None:
    message = messages.RepositoryModelUnloadRequest(model_name="m", **fields)  # type: ignore[arg-type]
    asyncio.run(service.repository_model_unload(message))


def test_load_and_unload(service: InferenceService, engine: FakeEngine) -> None:
    load(service)
    load(service, parameters={"config": Value(string_param="{}"), "file:1/model.py": Value(bytes_param=b"\xff")})
    unload(service)
    unload(service, parameters={"unload_dependents": Value(bool_param=True), "other": Value(int64_param=1)})
    assert engine.calls == [
        ("load", "m", None, {}),
        ("load", "m", "{}", {"1/model.py": b"\xff"}),
        ("unload", "m", False),
        ("unload", "m", True),
    ]


@pytest.mark.parametrize(
    ("call", "parameters", "text"),
    [
        (load, {"foo": Value(bool_param=True)}, "unrecognized load parameter 'foo'."),
        (
            load,
            {"config": Value(bytes_param=b"{}")},
            "invalid value type for load parameter 'config', expected string_param.",
        ),
        (
            load,
            {"file:1/x": Value(string_param="x")},
            "invalid value type for load parameter 'file:1/x', expected bytes_param.",
        ),
        (
            unload,
            {"unload_dependents": Value(string_param="yes")},
            "invalid value type for 'unload_dependents' parameter, expected bool_param.",
        ),
    ],
)
def test_wrong_repository_parameters(
    service: InferenceService, engine: FakeEngine, call: Callable[..., None], parameters: object, text: str
) -> None:
    with pytest.raises(TritonpyError) as raised:
        call(service, parameters=parameters)
    assert raised.value.kind.name == "INVALID_ARG"
    assert raised.value.message == text
    assert engine.calls == []


@pytest.mark.parametrize(
    "call",
    [
        lambda service: load(service, repository_name="r"),
        lambda service: unload(service, repository_name="r"),
        lambda service: service.repository_index(messages.RepositoryIndexRequest(repository_name="r")),
    ],
    ids=["load", "unload", "index"],
)
def test_a_repository_cannot_be_named(service: InferenceService, call: Callable[[InferenceService], None]) -> None:
    with pytest.raises(UnsupportedError, match="'repository_name' specification is not supported"):
        call(service)


# What is not offered, and the table of calls.


@pytest.mark.parametrize(
    "method", [each for each in methods.UNARY if each.handler in ("shared_memory", "trace_setting", "log_settings")]
)
def test_calls_of_extensions_that_are_not_offered_say_so(service: InferenceService, method: methods.Method) -> None:
    with pytest.raises(UnsupportedError, match="not supported by this server yet"):
        getattr(service, method.handler)(method.request())


def test_the_table_holds_every_call_of_the_protocol() -> None:
    described = {
        f"/{service.full_name}/{method.name}": method.input_type.full_name
        for service in (
            messages.DESCRIPTOR.services_by_name["GRPCInferenceService"],
            health_pb2.DESCRIPTOR.services_by_name["Health"],
        )
        for method in service.methods
    }
    del described["/grpc.health.v1.Health/Watch"]  # not offered by the real server either
    table = (*methods.UNARY, methods.MODEL_INFER, methods.MODEL_STREAM_INFER)
    assert {method.path: method.request.DESCRIPTOR.full_name for method in table} == described
    assert all(callable(getattr(InferenceService, method.handler)) for method in table)


# The server goes down.


def test_no_new_requests_while_the_server_goes_down(service: InferenceService, engine: FakeEngine) -> None:
    identity = model_of(engine, "identity")
    identity.hold_replies()
    answers: list[Answer] = []
    drained: list[bool] = []
    service.infer(infer_request(), 0, answers.append)
    answer_of(service, infer_request(raw=[]))  # refused, so not in flight
    service.drain(lambda: drained.append(True))
    refused = answer_of(service, infer_request())
    assert isinstance(refused, UnavailableError)
    assert refused.message == STOPPING
    assert drained == []
    identity.release()
    assert isinstance(answers[0], messages.ModelInferResponse)
    assert drained == [True]


def test_a_service_without_requests_is_drained_at_once(service: InferenceService) -> None:
    answer_of(service, infer_request())
    drained: list[bool] = []
    service.drain(lambda: drained.append(True))
    assert drained == [True]


def test_streams_end_while_the_server_goes_down(service: InferenceService, engine: FakeEngine) -> None:
    identity = model_of(engine, "identity")
    identity.hold_replies()
    idle: list[StreamMessage | TritonpyError | None] = []
    busy: list[StreamMessage | TritonpyError | None] = []
    drained: list[bool] = []
    streams = [service.open_stream(received.append, 0, False) for received in (idle, busy)]
    streams[1].receive(infer_request(id="taken"))
    service.drain(lambda: drained.append(True))
    (end,) = idle
    assert isinstance(end, UnavailableError)
    assert end.message == STOPPING
    streams[1].receive(infer_request(id="refused"))
    assert drained == []
    identity.release()
    taken, refused, end = busy
    assert isinstance(taken, StreamMessage)
    assert taken.infer_response.id == "taken"
    assert isinstance(refused, StreamMessage)
    assert (refused.infer_response.id, refused.error_message) == ("refused", STOPPING)
    assert isinstance(end, UnavailableError)
    assert drained == [True]

"""The server on grpcio: what reaches the wire, cancellation, deadlines, start and stop."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from tests.server.fake_engine import FakeEngine, FakeModel, example_engine
from tests.server.grpc.requests import TWO_FLOATS, infer_input, infer_request
from tests.server.grpc.running_server import (
    HOST,
    TIMEOUT_S,
    RunningServer,
    channel_to,
    method_path,
    running,
    stream,
    unary,
)
from tritonpy.backends.errors import CancelledError, InternalError, Kind, UnavailableError, error_of_kind
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.protos.generated import health_pb2
from tritonpy.server.engine import ServerMetadata
from tritonpy.server.grpc import methods
from tritonpy.server.grpc.grpcio_transport import GrpcServer, channel_arguments
from tritonpy.server.grpc.options import GrpcOptions
from tritonpy.server.grpc.service import InferenceService
from tritonpy.server.grpc.status import SERVER_FAULT

NO_MESSAGE = b"\xff\xff\xff"
STOPPING = "GRPC server is shutting down and has stopped accepting new requests."


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running(example_engine()) as started:
        yield started


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with channel_to(server) as connected:
        yield connected


@pytest.fixture
def infer(channel: grpc.Channel) -> Any:
    return unary(channel, "ModelInfer", messages.ModelInferResponse)


@pytest.fixture(autouse=True)
def no_errors_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever clients do, nothing is logged as an error; tests of faults clear the log."""
    yield
    records = [record for phase in ("setup", "call", "teardown") for record in caplog.get_records(phase)]
    assert [record.getMessage() for record in records if record.levelno >= logging.ERROR] == []


def failure(call: Any) -> tuple[grpc.StatusCode, str]:
    """The status of a call that fails."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code(), raised.value.details()


class Held:
    """A model whose requests wait until the test answers them."""

    def __init__(self, server: RunningServer, name: str = "identity") -> None:
        self.model: FakeModel = server.model(name)
        self.model.hold_replies()
        self.cancelled = threading.Event()
        self._asked: queue.Queue[InferenceRequest] = queue.Queue()
        self._server = server
        submit = self.model.submit

        def submit_and_tell(request: InferenceRequest, reply: Any) -> None:
            submit(request, reply)
            request.on_cancel = self.cancelled.set
            self._asked.put(request)

        self.model.submit = submit_and_tell  # type: ignore[method-assign]

    def next_request(self) -> InferenceRequest:
        return self._asked.get(timeout=TIMEOUT_S)

    def answer(self, request: InferenceRequest, response: InferenceResponse | None = None) -> None:
        self._server.call(lambda: request.reply(response or self.model.handler(request)))


# What reaches the wire.


def test_infer(infer: Any) -> None:
    response = infer(infer_request(id="r1"))
    assert (response.model_name, response.id) == ("identity", "r1")
    assert list(response.raw_output_contents) == [TWO_FLOATS]


def test_a_large_message_both_ways(infer: Any) -> None:
    array = np.arange(16 * 1024 * 1024, dtype=np.float32)
    response = infer(infer_request(inputs=[infer_input(shape=[1, array.size])], raw=[array.tobytes()]))
    assert len(response.raw_output_contents[0]) == 64 * 1024 * 1024
    np.testing.assert_array_equal(np.frombuffer(response.raw_output_contents[0], np.float32), array)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_error(server: RunningServer, infer: Any, kind: Kind) -> None:
    server.model("identity").refusal = error_of_kind(kind, "what \u2603 happened")
    code, details = failure(lambda: infer(infer_request()))
    assert (code.value[0], details) == (kind.grpc_code, "what \u2603 happened")


def test_the_status_of_an_error_with_a_long_text_arrives(server: RunningServer, infer: Any) -> None:
    server.model("identity").refusal = InternalError("Traceback\n\u2603" * 10_000)
    code, details = failure(lambda: infer(infer_request()))
    assert code is grpc.StatusCode.INTERNAL
    assert details.startswith("Traceback\n\u2603")
    assert details.endswith(" [...]")


@pytest.mark.parametrize("name", [method.name for method in (*methods.UNARY, methods.MODEL_INFER)])
def test_bytes_that_are_no_message(channel: grpc.Channel, name: str) -> None:
    service = methods.HEALTH_SERVICE if name == "Check" else methods.INFERENCE_SERVICE
    call = channel.unary_unary(f"/{service}/{name}")
    assert failure(lambda: call(NO_MESSAGE)) == (grpc.StatusCode.INTERNAL, "Unable to parse request")


@pytest.mark.parametrize(
    "path",
    [
        method_path("NoSuchCall"),
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/nonsense",
    ],
)
def test_unknown_calls(channel: grpc.Channel, path: str) -> None:
    assert failure(lambda: channel.unary_unary(path)(b"")) == (grpc.StatusCode.UNIMPLEMENTED, "")
    assert failure(lambda: list(channel.stream_stream(path)(iter([b""])))) == (grpc.StatusCode.UNIMPLEMENTED, "")


def test_health_check(channel: grpc.Channel, server: RunningServer) -> None:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )
    assert check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    server.engine.ready = False
    assert check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_errors_of_other_calls(channel: grpc.Channel, server: RunningServer) -> None:
    config = unary(channel, "ModelConfig", messages.ModelConfigResponse)
    unknown = messages.ModelConfigRequest(name="nosuch")
    assert failure(lambda: config(unknown)) == (
        grpc.StatusCode.NOT_FOUND,
        "Request for unknown model: 'nosuch' is not found",
    )
    server.engine.failure = UnavailableError("Server exiting")
    live = unary(channel, "ServerLive", messages.ServerLiveResponse)
    assert failure(lambda: live(messages.ServerLiveRequest())) == (grpc.StatusCode.UNAVAILABLE, "Server exiting")


def test_faults_of_the_server_are_answered_without_their_text(
    channel: grpc.Channel, server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> ServerMetadata:
        raise KeyError("a secret")

    server.engine.metadata = fail  # type: ignore[method-assign]
    call = unary(channel, "ServerMetadata", messages.ServerMetadataResponse)
    assert failure(lambda: call(messages.ServerMetadataRequest())) == (grpc.StatusCode.INTERNAL, SERVER_FAULT)
    assert "a secret" in caplog.text
    caplog.clear()


# Cancellation and deadlines.


def test_cancelling_a_call_cancels_its_request(server: RunningServer, infer: Any) -> None:
    held = Held(server)
    call = infer.future(infer_request())
    request = held.next_request()
    assert request.deadline_ns == 0
    call.cancel()
    assert held.cancelled.wait(TIMEOUT_S)
    assert request.cancelled
    held.answer(request)  # nobody waits for it: it is dropped
    assert list(infer(infer_request("pair", pair_inputs(), PAIR_RAW)).raw_output_contents) == PAIR_RAW


PAIR_RAW = [np.full(16, value, np.int32).tobytes() for value in (1, 2)]


def pair_inputs() -> list[messages.ModelInferRequest.InferInputTensor]:
    return [infer_input(name, "INT32", [1, 16]) for name in ("INPUT0", "INPUT1")]


def test_a_lost_connection_cancels_its_requests(server: RunningServer) -> None:
    held = Held(server)
    with channel_to(server) as channel:
        call = unary(channel, "ModelInfer", messages.ModelInferResponse).future(infer_request())
        request = held.next_request()
    assert call.done()
    assert held.cancelled.wait(TIMEOUT_S)
    assert request.cancelled


def test_a_deadline_reaches_the_request_and_cancels_it_when_it_has_passed(server: RunningServer, infer: Any) -> None:
    held = Held(server)
    before_ns = time.monotonic_ns()
    assert failure(lambda: infer(infer_request(), timeout=0.3)) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "Deadline Exceeded",
    )
    request = held.next_request()
    # The client rounds its timeout up when it sends it.
    assert 0.1e9 < request.deadline_ns - before_ns < 0.8e9
    assert held.cancelled.wait(TIMEOUT_S)
    assert request.cancelled


def test_a_request_that_its_model_cancels_has_missed_no_deadline(server: RunningServer, infer: Any) -> None:
    held = Held(server)
    call = infer.future(infer_request(), timeout=TIMEOUT_S)
    request = held.next_request()
    held.answer(request, InferenceResponse(error=CancelledError("of the model")))
    assert failure(call.result) == (grpc.StatusCode.CANCELLED, "of the model")


def test_a_load_goes_on_when_its_client_has_gone(server: RunningServer, channel: grpc.Channel) -> None:
    started, loaded = threading.Event(), threading.Event()
    may_load = server.call(asyncio.Event)

    async def load_model(*_: object) -> None:
        started.set()
        await may_load.wait()
        loaded.set()

    server.engine.load_model = load_model  # type: ignore[assignment,method-assign]
    load = unary(channel, "RepositoryModelLoad", messages.RepositoryModelLoadResponse)
    call = load.future(messages.RepositoryModelLoadRequest(model_name="m"))
    assert started.wait(TIMEOUT_S)
    call.cancel()
    # A later call on the same connection is answered after the server has seen the cancellation.
    unary(channel, "ServerLive", messages.ServerLiveResponse)(messages.ServerLiveRequest())
    server.call(may_load.set)
    assert loaded.wait(TIMEOUT_S)


# Streams.


class Requests:
    """What a client sends on a stream, when the test says so."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue()
        self.send = self._queue.put

    def close(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._queue.get, None)


@pytest.fixture
def requests() -> Iterator[Requests]:
    opened = Requests()
    yield opened
    opened.close()  # the client's thread waits for the next one


def open_stream(channel: grpc.Channel, requests: Requests, strict: str = "") -> Any:
    metadata = [("triton_grpc_error", strict)] if strict else []
    return stream(channel, messages.ModelStreamInferResponse)(iter(requests), metadata=metadata, timeout=TIMEOUT_S)


def test_a_stream_answers_while_it_is_open_and_ends_well(channel: grpc.Channel, requests: Requests) -> None:
    responses = open_stream(channel, requests)
    for number in ("1", "2"):
        requests.send(infer_request(id=number))
        assert next(responses).infer_response.id == number
    requests.send(infer_request("nosuch", id="3"))
    assert "unknown model" in next(responses).error_message
    requests.close()
    assert list(responses) == []
    assert responses.code() is grpc.StatusCode.OK


def test_a_decoupled_model_on_a_stream(server: RunningServer, channel: grpc.Channel, requests: Requests) -> None:
    held = Held(server, "repeat")
    responses = open_stream(channel, requests)
    requests.send(infer_request("repeat", [infer_input(shape=[2])], id="r"))
    requests.close()
    request = held.next_request()
    for _ in range(3):
        response = held.model.handler(request)
        response.final = False
        held.answer(request, response)
    held.answer(request, InferenceResponse())
    received = [message.infer_response for message in responses]
    assert [list(response.raw_output_contents) for response in received] == [[TWO_FLOATS]] * 3


def test_cancelling_a_stream_cancels_its_requests(
    server: RunningServer, channel: grpc.Channel, requests: Requests
) -> None:
    held = Held(server)
    responses = open_stream(channel, requests)
    requests.send(infer_request())
    request = held.next_request()
    assert request.deadline_ns > time.monotonic_ns()
    responses.cancel()
    assert held.cancelled.wait(TIMEOUT_S)
    held.answer(request)


def test_a_lost_connection_cancels_the_requests_of_its_stream(server: RunningServer, requests: Requests) -> None:
    held = Held(server)
    with channel_to(server) as channel:
        responses = open_stream(channel, requests)
        requests.send(infer_request())
        request = held.next_request()
    assert responses.code() is grpc.StatusCode.CANCELLED
    assert held.cancelled.wait(TIMEOUT_S)
    held.answer(request)


def test_bytes_that_are_no_message_end_a_stream(
    server: RunningServer, channel: grpc.Channel, requests: Requests
) -> None:
    held = Held(server)
    responses = open_stream(channel, requests)
    requests.send(infer_request())
    held.next_request()
    requests.send(NO_MESSAGE)
    assert failure(lambda: list(responses)) == (grpc.StatusCode.INTERNAL, "Unable to parse request")
    assert held.cancelled.wait(TIMEOUT_S)


@pytest.mark.parametrize(("strict", "ends"), [("true", True), ("True", False), ("", False)])
def test_strict_errors(
    server: RunningServer, channel: grpc.Channel, requests: Requests, strict: str, ends: bool
) -> None:
    error = error_of_kind(Kind.NOT_FOUND, "the model says so")
    server.model("identity").handler = lambda request: InferenceResponse(error=error)
    responses = open_stream(channel, requests, strict)
    requests.send(infer_request())
    if ends:
        assert failure(lambda: next(responses)) == (grpc.StatusCode.NOT_FOUND, "the model says so")
    else:
        assert next(responses).error_message == "the model says so"


# Start and stop.


def test_a_port_in_use_is_refused(server: RunningServer) -> None:
    async def bind() -> None:
        GrpcServer(InferenceService(FakeEngine().as_engine()), GrpcOptions(HOST, server.server.port)).bind()

    with pytest.raises(UnavailableError) as raised:
        server.run(bind())
    assert raised.value.message == f"Socket '{server.address}' already in use "


def test_servers_can_share_a_port_if_they_want() -> None:
    with (
        running(example_engine(), reuse_port=True) as first,
        running(example_engine(), reuse_port=True, port=first.server.port) as second,
    ):
        assert second.address == first.address


def test_requests_in_flight_end_and_new_ones_are_refused(server: RunningServer, channel: grpc.Channel) -> None:
    held = Held(server)
    infer = unary(channel, "ModelInfer", messages.ModelInferResponse)
    call = infer.future(infer_request())
    request = held.next_request()
    stopping = server.begin(server.server.stop(TIMEOUT_S))
    server.engine.failure = UnavailableError("Server exiting")
    assert failure(lambda: infer(infer_request())) == (grpc.StatusCode.UNAVAILABLE, STOPPING)
    live = unary(channel, "ServerLive", messages.ServerLiveResponse)
    assert failure(lambda: live(messages.ServerLiveRequest())) == (grpc.StatusCode.UNAVAILABLE, "Server exiting")
    assert not stopping.done()
    held.answer(request)
    assert list(call.result().raw_output_contents) == [TWO_FLOATS]
    stopping.result(TIMEOUT_S)
    assert failure(lambda: infer(infer_request()))[0] is grpc.StatusCode.UNAVAILABLE


def test_requests_that_do_not_end_in_time_are_cancelled(server: RunningServer, infer: Any) -> None:
    held = Held(server)
    call = infer.future(infer_request())
    held.next_request()
    server.run(server.server.stop(0.1))
    assert held.cancelled.wait(TIMEOUT_S)
    assert failure(call.result)[0] in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


def test_an_idle_stream_does_not_keep_the_server(
    server: RunningServer, channel: grpc.Channel, requests: Requests
) -> None:
    responses = open_stream(channel, requests)
    requests.send(infer_request())
    next(responses)
    server.run(server.server.stop(TIMEOUT_S * 10))
    assert failure(lambda: next(responses)) == (grpc.StatusCode.UNAVAILABLE, STOPPING)


def test_stopping_what_was_never_bound_does_nothing() -> None:
    asyncio.run(GrpcServer(InferenceService(FakeEngine().as_engine()), GrpcOptions()).stop(0))


# Options.


def test_channel_arguments_by_default() -> None:
    assert dict(channel_arguments(GrpcOptions())) == {
        "grpc.max_receive_message_length": 2147483647,
        "grpc.max_send_message_length": 2147483647,
        "grpc.so_reuseport": 0,
        "grpc.keepalive_time_ms": 7200000,
        "grpc.keepalive_timeout_ms": 20000,
        "grpc.keepalive_permit_without_calls": 0,
        "grpc.http2.max_pings_without_data": 2,
        "grpc.http2.min_ping_interval_without_data_ms": 300000,
        "grpc.http2.max_ping_strikes": 2,
    }


def test_channel_arguments_that_were_set() -> None:
    arguments = dict(
        channel_arguments(
            GrpcOptions(
                reuse_port=True,
                keepalive_time_ms=1,
                keepalive_timeout_ms=2,
                keepalive_permit_without_calls=True,
                http2_max_pings_without_data=3,
                http2_min_recv_ping_interval_without_data_ms=4,
                http2_max_ping_strikes=5,
                max_connection_age_ms=6,
                max_connection_age_grace_ms=7,
            )
        )
    )
    del arguments["grpc.max_receive_message_length"], arguments["grpc.max_send_message_length"]
    assert arguments == {
        "grpc.so_reuseport": 1,
        "grpc.keepalive_time_ms": 1,
        "grpc.keepalive_timeout_ms": 2,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 3,
        "grpc.http2.min_ping_interval_without_data_ms": 4,
        "grpc.http2.max_ping_strikes": 5,
        "grpc.max_connection_age_ms": 6,
        "grpc.max_connection_age_grace_ms": 7,
    }

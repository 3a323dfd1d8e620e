"""The unmodified gRPC clients of Triton against the server."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as client_module
import tritonclient.grpc.aio as aio_client_module
from tritonclient.utils import InferenceServerException

from tests.server.fake_engine import example_engine
from tests.server.grpc.running_server import TIMEOUT_S, RunningServer, running
from tritonpy.backends.errors import InternalError
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.tensor import Tensor
from tritonpy.repository.states import IndexEntry

ARRAY = np.array([[1.5, -2, 1e-7]], np.float32)
STRINGS = np.array([b"a", b"", b"\xff\x00"], object)


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running(example_engine()) as started:
        yield started


@pytest.fixture
def client(server: RunningServer) -> Iterator[Any]:
    with client_module.InferenceServerClient(server.address) as connected:
        yield connected


def infer_input(array: np.ndarray[Any, np.dtype[Any]], datatype: str = "FP32", name: str = "INPUT0") -> Any:
    tensor = client_module.InferInput(name, list(array.shape), datatype)
    return tensor.set_data_from_numpy(array)


def test_descriptions(client: Any, server: RunningServer) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("identity")
    assert client.get_server_metadata().name == "triton"
    assert client.get_model_metadata("two").versions == ["1", "3"]
    assert client.get_model_config("identity").config.max_batch_size == 64
    assert client.get_inference_statistics("identity").model_stats[0].name == "identity"
    server.engine.index = [IndexEntry("identity", "1", "READY", "")]
    assert client.get_model_repository_index(as_json=True) == {
        "models": [{"name": "identity", "version": "1", "state": "READY"}]
    }
    client.load_model("identity", config="{}", files={"file:1/model.py": b"x"})
    client.unload_model("identity", unload_dependents=True)
    assert server.engine.calls == [
        ("load", "identity", "{}", {"1/model.py": b"x"}),
        ("unload", "identity", True),
    ]


def test_inference(client: Any, server: RunningServer) -> None:
    result = client.infer(
        "identity",
        [infer_input(ARRAY)],
        outputs=[client_module.InferRequestedOutput("OUTPUT0")],
        request_id="abc",
        sequence_id=7,
        sequence_start=True,
        priority=2,
        timeout=5000,
        parameters={"custom": "text"},
    )
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)
    assert result.get_response().id == "abc"
    request = server.model("identity").requests[-1]
    assert (request.correlation_id, request.priority, request.timeout_us) == (7, 2, 5000)
    assert request.parameters == {"custom": "text"}


def test_strings(client: Any) -> None:
    result = client.infer("ident_str", [infer_input(STRINGS, "BYTES")])
    assert result.as_numpy("OUTPUT0").tolist() == STRINGS.tolist()


def test_classes(client: Any) -> None:
    outputs = [client_module.InferRequestedOutput("OUTPUT0", class_count=2)]
    result = client.infer("identity", [infer_input(ARRAY)], outputs=outputs)
    assert result.as_numpy("OUTPUT0").tolist() == [[b"1.500000:0", b"0.000000:2"]]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests(client: Any, algorithm: str) -> None:
    result = client.infer("identity", [infer_input(ARRAY)], compression_algorithm=algorithm)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)


def test_errors(client: Any) -> None:
    with pytest.raises(InferenceServerException) as raised:
        client.infer("nosuch", [infer_input(ARRAY)])
    assert raised.value.status() == "StatusCode.NOT_FOUND"
    assert raised.value.message() == "Request for unknown model: 'nosuch' is not found"
    with pytest.raises(InferenceServerException) as raised:
        client.infer("repeat", [infer_input(ARRAY)])
    assert raised.value.status() == "StatusCode.UNIMPLEMENTED"


def test_what_is_not_offered(client: Any) -> None:
    calls = (
        client.get_system_shared_memory_status,
        client.get_cuda_shared_memory_status,
        lambda: client.register_system_shared_memory("region", "/key", 64),
        client.get_trace_settings,
        client.get_log_settings,
    )
    for call in calls:
        with pytest.raises(InferenceServerException, match="not supported by this server yet") as raised:
            call()
        assert raised.value.status() == "StatusCode.UNIMPLEMENTED"


def test_a_call_in_the_background_can_be_cancelled(client: Any, server: RunningServer) -> None:
    identity = server.model("identity")
    identity.hold_replies()
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    call = client.async_infer("identity", [infer_input(ARRAY)], lambda result, error: answers.put((result, error)))
    call.cancel()
    result, error = answers.get(timeout=TIMEOUT_S)
    assert result is None
    assert error.status() == "StatusCode.CANCELLED"


# Streams.


def repeat(request: InferenceRequest) -> InferenceResponse:
    """One response for each element of the input; the last one is returned, the others are sent before it."""
    for value in request.inputs["INPUT0"].array[:-1]:
        request.reply(number(value, final=False))
    return number(request.inputs["INPUT0"].array[-1], final=True)


def number(value: float, final: bool) -> InferenceResponse:
    if value < 0:
        return InferenceResponse(error=InternalError(f"negative value {value:g}"), final=final)
    output = Tensor.from_array("OUTPUT0", np.array([value], np.float32))
    return InferenceResponse([output], final=final)


def test_a_stream(client: Any, server: RunningServer) -> None:
    server.model("repeat").handler = repeat
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("identity", [infer_input(ARRAY)], request_id="one")
    client.async_stream_infer(
        "repeat", [infer_input(np.array([3, -4, 5], np.float32))], request_id="many", enable_empty_final_response=True
    )
    client.async_stream_infer("nosuch", [infer_input(ARRAY)], request_id="none")
    received = [answers.get(timeout=TIMEOUT_S) for _ in range(5)]
    client.stop_stream()
    one, first, error, last, none = received
    np.testing.assert_array_equal(one[0].as_numpy("OUTPUT0"), ARRAY)
    assert [result.as_numpy("OUTPUT0").tolist() for result, _ in (first, last)] == [[3], [5]]
    finals = [result.get_response().parameters["triton_final_response"].bool_param for result, _ in (one, first, last)]
    assert finals == [True, False, True]
    assert (error[0], str(error[1])) == (None, "negative value -4")
    assert str(none[1]) == "Request for unknown model: 'nosuch' is not found"


# The asyncio client.


def test_aio_client(server: RunningServer) -> None:
    async def use() -> None:
        async with aio_client_module.InferenceServerClient(server.address) as client:
            assert await client.is_server_ready()
            results = await asyncio.gather(*(client.infer("identity", [infer_input(ARRAY)]) for _ in range(32)))
            for result in results:
                np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)
            with pytest.raises(InferenceServerException, match="unknown model"):
                await client.infer("nosuch", [infer_input(ARRAY)])

    asyncio.run(use())


def test_aio_deadline(server: RunningServer) -> None:
    server.model("identity").hold_replies()

    async def use() -> None:
        async with aio_client_module.InferenceServerClient(server.address) as client:
            with pytest.raises(InferenceServerException) as raised:
                await client.infer("identity", [infer_input(ARRAY)], client_timeout=0.2)
            assert raised.value.status() == str(grpc.StatusCode.DEADLINE_EXCEEDED)

    asyncio.run(use())


def test_aio_stream(server: RunningServer) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for name in ("identity", "nosuch"):
            yield {"model_name": name, "inputs": [infer_input(ARRAY)], "request_id": name}

    async def use() -> list[tuple[Any, Any]]:
        async with aio_client_module.InferenceServerClient(server.address) as client:
            return [answer async for answer in client.stream_infer(requests())]

    (result, no_error), (no_result, error) = asyncio.run(use())
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)
    assert no_error is None
    assert no_result is None
    assert "unknown model" in str(error)

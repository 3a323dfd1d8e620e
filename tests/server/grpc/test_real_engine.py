"""The gRPC front end on the real engine: what admission refuses, and Triton's unmodified clients."""

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

from tests.server.grpc.real_server import serving, write_models
from tests.server.grpc.requests import InputMessage, infer_input, infer_request
from tests.server.grpc.running_server import TIMEOUT_S, method_path
from tritonpy.protos.bytes_codec import encode_elements
from tritonpy.protos.generated import grpc_service_pb2 as messages

NO_ID = "[request id: <id_unknown>] "
NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try "
    "setting max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)


def add_sub(*names: str, shape: tuple[int, ...] = (1, 16), second: tuple[int, ...] = ()) -> messages.ModelInferRequest:
    """A request of `add_sub` with inputs of these names; `second` is another shape for all but the first."""
    shapes = [shape] + [second or shape] * len(names)
    inputs = [infer_input(name, "INT32", shape) for name, shape in zip(names, shapes, strict=False)]
    return infer_request("add_sub", inputs, [bytes(4 * max(0, int(np.prod(entry.shape)))) for entry in inputs])


def identity(size_bytes: int, *shape: int, datatype: str = "FP32") -> messages.ModelInferRequest:
    return infer_request("identity", [infer_input("INPUT0", datatype, shape)], [bytes(size_bytes)])


def ident_str(data: bytes, count: int) -> messages.ModelInferRequest:
    inputs: list[InputMessage] = [infer_input("INPUT0", "BYTES", [count])]
    return infer_request("ident_str", inputs, [data])


def missing(count: int, got: str, names: str) -> str:
    return (
        f"{NO_ID}expected 2 inputs but got {count} inputs for model 'add_sub'. Got input(s) {got}, but missing "
        f"required input(s) {names}. Please provide all required input(s)."
    )


def size_mismatch(expected: int, got: int) -> str:
    return f"{NO_ID}input byte size mismatch for input 'INPUT0' for model 'identity'. Expected {expected}, got {got}"


ADMISSION_CASES = {
    "one input missing": (add_sub("INPUT0"), missing(1, "['INPUT0']", "['INPUT1']")),
    "all inputs missing": (add_sub(), missing(0, "[]", "['INPUT0','INPUT1']")),
    "too many inputs": (
        add_sub("INPUT0", "INPUT1", "INPUT2"),
        missing(3, "['INPUT0','INPUT1','INPUT2']", "]"),
    ),
    "unknown input": (add_sub("INPUT0", "FOO"), "unexpected inference input 'FOO' for model 'add_sub'"),
    "another datatype": (
        identity(8, 1, 2, datatype="INT32"),
        f"{NO_ID}inference input 'INPUT0' data-type is 'INT32', but model 'identity' expects 'FP32'",
    ),
    "another shape": (
        add_sub("INPUT0", "INPUT1", shape=(1, 15)),
        f"{NO_ID}unexpected shape for input 'INPUT0' for model 'add_sub'. Expected [-1,16], got [1,15]. {NOTE}",
    ),
    "another shape, no batching": (
        infer_request("matrix", [infer_input("INPUT0", "FP32", [2, 2])], [bytes(16)]),
        f"{NO_ID}unexpected shape for input 'INPUT0' for model 'matrix'. Expected [4], got [2,2]. ",
    ),
    "too little data": (identity(4, 1, 2), size_mismatch(8, 4)),
    "too much data": (identity(12, 1, 2), size_mismatch(8, 12)),
    "no data": (identity(0, 1, 2), size_mismatch(8, 0)),
    "data of a batch of none": (identity(0, 0, 2), size_mismatch(8, 0)),
    "more data than can be counted": (identity(8, 1, 2**62), size_mismatch(2**64, 8)),
    "another batch size": (
        add_sub("INPUT0", "INPUT1", second=(2, 16)),
        f"{NO_ID}input 'INPUT1' batch size does not match other inputs for 'add_sub'",
    ),
    "batch too large": (
        add_sub("INPUT0", "INPUT1", shape=(9, 16)),
        f"{NO_ID}inference request batch-size must be <= 8 for 'add_sub'",
    ),
    "no batch dimension": (
        identity(4),
        f"{NO_ID}input 'INPUT0' has no shape but model requires batch dimension for 'identity'",
    ),
    "too many strings": (
        ident_str(encode_elements([b"a", b"b", b"c"]), 2),
        f"{NO_ID}unexpected number of string elements 3 for inference input 'INPUT0' for model 'ident_str', "
        "expecting 2",
    ),
    "too few strings": (
        ident_str(encode_elements([b"a", b"b", b"c"]), 4),
        f"{NO_ID}expected 4 string elements for inference input 'INPUT0' for model 'ident_str', got 3",
    ),
    "cut in a length": (
        ident_str(b"\1\0", 1),
        f"{NO_ID}incomplete string length indicator for inference input 'INPUT0' for model 'ident_str', expecting 4 "
        "bytes but only 2 bytes available. Please make sure the string length indicator is in one buffer.",
    ),
    "cut in a string": (
        ident_str(b"\x09\0\0\0ab", 1),
        "incomplete string data for inference input 'INPUT0', expecting string of length 9 but only 2 bytes available",
    ),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    repository = tmp_path_factory.mktemp("models")
    write_models(repository)
    with serving(repository) as served:
        yield served


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as connected:
        yield connected


@pytest.mark.parametrize("case", ADMISSION_CASES)
def test_what_a_model_refuses(channel: grpc.Channel, case: str) -> None:
    message, text = ADMISSION_CASES[case]
    infer = channel.unary_unary(method_path("ModelInfer"), messages.ModelInferRequest.SerializeToString)
    with pytest.raises(grpc.RpcError) as raised:
        infer(message, timeout=TIMEOUT_S)
    call: Any = raised.value
    assert (call.code(), call.details()) == (grpc.StatusCode.INVALID_ARGUMENT, text)


def test_what_models_refuse_is_told_on_a_stream_that_goes_on(channel: grpc.Channel) -> None:
    infer = channel.stream_stream(
        method_path("ModelStreamInfer"),
        messages.ModelInferRequest.SerializeToString,
        messages.ModelStreamInferResponse.FromString,
    )
    good = infer_request(id="good")
    responses = list(infer(iter([*(message for message, _ in ADMISSION_CASES.values()), good]), timeout=TIMEOUT_S))
    *refusals, answer = responses
    assert [refusal.error_message for refusal in refusals] == [text for _, text in ADMISSION_CASES.values()]
    assert (answer.error_message, answer.infer_response.id) == ("", "good")


@pytest.mark.parametrize("shape", [(1, -1), (-1, 2), (-(2**63), 2), (1, -7)])
def test_negative_dimensions_are_refused_by_name(channel: grpc.Channel, shape: tuple[int, ...]) -> None:
    infer = channel.unary_unary(method_path("ModelInfer"), messages.ModelInferRequest.SerializeToString)
    with pytest.raises(grpc.RpcError) as raised:
        infer(identity(8, *shape), timeout=TIMEOUT_S)
    call: Any = raised.value
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "'INPUT0' for model 'identity'" in call.details()


# Triton's own clients.

ARRAY = np.array([[1.5, -2.0, 1e-7]], np.float32)


def client_input(module: Any, name: str, array: np.ndarray[Any, Any], datatype: str) -> Any:
    tensor = module.InferInput(name, array.shape, datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def test_the_synchronous_client(address: str) -> None:
    with client_module.InferenceServerClient(address) as client:
        assert client.is_server_ready()
        assert client.is_model_ready("identity")
        assert client.get_model_metadata("identity").inputs[0].shape == [-1, -1]
        result = client.infer("identity", [client_input(client_module, "INPUT0", ARRAY, "FP32")], request_id="r")
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)
        assert result.get_response().id == "r"
        texts = np.array([b"", b"\xff\x00", "ä".encode()], object)
        result = client.infer("ident_str", [client_input(client_module, "INPUT0", texts, "BYTES")])
        assert result.as_numpy("OUTPUT0").tolist() == texts.tolist()
        statistics = client.get_inference_statistics("ident_str").model_stats[0]
        assert statistics.inference_count == 1
        with pytest.raises(InferenceServerException, match="unknown model: 'nosuch'") as raised:
            client.infer("nosuch", [client_input(client_module, "INPUT0", ARRAY, "FP32")])
        assert raised.value.status() == "StatusCode.NOT_FOUND"


def test_the_clients_calls_in_the_background(address: str) -> None:
    arrived: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with client_module.InferenceServerClient(address) as client:
        for number in range(10):
            entry = client_input(client_module, "INPUT0", ARRAY * number, "FP32")
            client.async_infer("identity", [entry], lambda result, error: arrived.put((result, error)))
        answers = [arrived.get(timeout=TIMEOUT_S) for _ in range(10)]
    assert [error for _, error in answers] == [None] * 10
    found = sorted(float(result.as_numpy("OUTPUT0")[0, 0]) for result, _ in answers)
    assert found == [1.5 * number for number in range(10)]


def test_the_clients_stream(address: str) -> None:
    arrived: queue.Queue[tuple[Any, Any]] = queue.Queue()
    values = np.array([1, -5, 2], np.int32)
    with client_module.InferenceServerClient(address) as client:
        client.start_stream(lambda result, error: arrived.put((result, error)))
        client.async_stream_infer(
            "repeat",
            [client_input(client_module, "IN", values, "INT32")],
            request_id="er",
            enable_empty_final_response=True,
        )
        answers = [arrived.get(timeout=TIMEOUT_S) for _ in range(4)]
        client.stop_stream()
    (first, _), (_, error), (second, _), (last, _) = answers
    assert [result.as_numpy("OUT").tolist() for result in (first, second)] == [[1], [2]]
    assert error.message() == "neg value -5"
    assert last.get_response().parameters["triton_final_response"].bool_param
    assert not first.get_response().parameters["triton_final_response"].bool_param
    assert len(last.get_response().outputs) == 0


def test_the_asyncio_client(address: str) -> None:
    async def use() -> None:
        async with aio_client_module.InferenceServerClient(address) as client:
            entry = client_input(aio_client_module, "INPUT0", ARRAY, "FP32")
            result = await client.infer("identity", [entry], client_timeout=TIMEOUT_S)
            np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)

            async def asked() -> AsyncIterator[dict[str, Any]]:
                for number in ("1", "2"):
                    yield {"model_name": "identity", "inputs": [entry], "request_id": number}

            answers = [answer async for answer in client.stream_infer(asked())]
            assert [error for _, error in answers] == [None, None]
            assert [result.get_response().id for result, _ in answers] == ["1", "2"]

    asyncio.run(use())

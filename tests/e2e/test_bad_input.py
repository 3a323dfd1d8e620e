"""Requests that cannot be served: the client is told what was expected and what came, and nobody else notices."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from onnx import TensorProto
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from .bad_requests import ADD_SUB_INPUTS, GRPC_CASES, HTTP_CASES, INPUT_LIMIT_BYTES, grpc_input, json_request
from .repository import ADD_SUB_CONFIG, write_onnx_identity, write_python_model
from .scripted import Models, batches, write_scripted_model
from .server import Server, running_server

IDENTITY_CONFIG = """
backend: "python"
max_batch_size: 8
input [ { name: "INPUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""

STRING_BATCH_CONFIG = """
max_batch_size: 8
dynamic_batching { preferred_batch_size: [ 3 ] max_queue_delay_microseconds: 500000 }
"""

STRING_TENSORS = """
input [ { name: "INPUT" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_STRING dims: [ 1 ] } ]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bad_input")
    repository = folder / "models"
    write_python_model(repository, "add_sub", "add_sub", f"max_batch_size: 8\n{ADD_SUB_CONFIG}")
    write_python_model(repository, "identity", "copies", IDENTITY_CONFIG)
    write_scripted_model(repository, "scripted", "dynamic_batching { }")
    write_onnx_identity(
        repository,
        "onnx_strings",
        TensorProto.STRING,
        ["batch", 1],
        f'backend: "onnxruntime" {STRING_BATCH_CONFIG} {STRING_TENSORS}',
    )
    write_python_model(
        repository, "python_strings", "copies", f'backend: "python" {STRING_BATCH_CONFIG} {STRING_TENSORS}'
    )
    with running_server(repository, folder, f"--http-max-input-size={INPUT_LIMIT_BYTES}") as server:
        yield server


@pytest.fixture(autouse=True)
def goes_on(server: Server) -> Iterator[None]:
    """After each test the server still works and has logged no error of its own."""
    yield
    assert server.infer("add_sub", {"inputs": ADD_SUB_INPUTS}).json()["outputs"][0]["data"] == [3] * 16
    assert "Traceback" not in server.log_text()


@pytest.mark.parametrize("name", HTTP_CASES)
def test_http(server: Server, name: str) -> None:
    request, status, message = HTTP_CASES[name]
    answer = server.request("POST", request.path, request.body, request.headers)
    assert (answer.status, answer.headers.get("content-encoding")) == (status, None), answer.body
    assert list(answer.json()) == ["error"]
    assert message in answer.error


def test_wrong_method(server: Server) -> None:
    answer = server.get("/v2/models/add_sub/infer")
    assert (answer.status, answer.error) == (405, "Method Not Allowed")


# gRPC.


@pytest.fixture(scope="module")
def raw_infer(server: Server) -> Iterator[Any]:
    """ModelInfer with any bytes as its message."""
    with grpc.insecure_channel(server.grpc_url) as channel:
        yield channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")


@pytest.mark.parametrize("name", GRPC_CASES)
def test_grpc(raw_infer: Any, name: str) -> None:
    request, code, message = GRPC_CASES[name]
    with pytest.raises(grpc.RpcError) as caught:
        raw_infer(request.SerializeToString(), timeout=10)
    assert (caught.value.code(), caught.value.details()[: len(message)]) == (code, message)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x0a\x7fshort", b"{}"], ids=["tag", "cut", "JSON"])
def test_malformed_protobuf(raw_infer: Any, garbage: bytes) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        raw_infer(garbage, timeout=10)
    assert caught.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
    assert caught.value.details()


def test_unknown_method(server: Server) -> None:
    with grpc.insecure_channel(server.grpc_url) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/inference.GRPCInferenceService/NoSuchMethod")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


# Bad company in a batch.


def elements(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


BAD_STRINGS = {
    "cut inside the element": (struct.pack("<I", 9) + b"ab", "incomplete string data for inference input 'INPUT'"),
    "cut inside the length": (b"\x01\x00", "incomplete string length indicator for inference input 'INPUT'"),
    "too many elements": (elements(b"a", b"b"), "unexpected number of string elements 2 for inference input 'INPUT'"),
    "too few elements": (b"", "expected 1 string elements for inference input 'INPUT'"),
}


@pytest.mark.parametrize("model", ["onnx_strings", "python_strings"])
@pytest.mark.parametrize("name", BAD_STRINGS)
def test_bad_strings_in_one_request_leave_the_others_of_the_batch_alone(
    raw_infer: Any, server: Server, model: str, name: str
) -> None:
    """Three requests make a full batch; when one is refused at the door, the other two go after the queue delay."""
    bad, message = BAD_STRINGS[name]
    calls = [
        raw_infer.future(string_request(model, data), timeout=20)
        for data in (elements(b"first"), bad, elements(b"last"))
    ]
    answers = [service_pb2.ModelInferResponse.FromString(calls[number].result()) for number in (0, 2)]
    assert [answer.raw_output_contents[0] for answer in answers] == [elements(b"first"), elements(b"last")]
    with pytest.raises(grpc.RpcError) as caught:
        calls[1].result()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert message in caught.value.details()


def string_request(model: str, data: bytes) -> bytes:
    request = service_pb2.ModelInferRequest(
        model_name=model, inputs=[grpc_input("INPUT", [1, 1], "BYTES")], raw_input_contents=[data]
    )
    encoded = request.SerializeToString()
    assert isinstance(encoded, bytes)
    return encoded


def test_refused_requests_leave_those_in_the_queue_alone(model: Models) -> None:
    scripted = model("scripted")
    with scripted.busy():
        good1 = scripted.queue("good1")
        with pytest.raises(InferenceServerException, match="unexpected shape for input 'COMMAND'"):
            scripted.send("bad", inputs={"COMMAND": np.full((1, 2), b"", np.object_)}).report()
        good2 = scripted.queue("good2")
    assert batches([good1, good2]) == [["good1", "good2"]]


def test_bad_requests_from_many_clients_at_once(server: Server) -> None:
    """Good and bad requests mixed: each gets its own answer."""
    bad = list(HTTP_CASES.values())
    wrong: list[tuple[int, int]] = []

    def ask(number: int) -> None:
        good = (json_request(inputs=ADD_SUB_INPUTS), 200, "")
        request, expected_status, _ = bad[number // 2] if number % 2 else good
        status = server.request("POST", request.path, request.body, request.headers).status
        if status != expected_status:
            wrong.append((number, status))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2 * len(bad))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

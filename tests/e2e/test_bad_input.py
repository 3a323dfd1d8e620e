"""Whatever comes in: the client is told what was expected and what came, and nobody else notices."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from onnx import TensorProto
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from .repository import ADD_SUB_CONFIG, write_onnx_identity, write_python_model
from .scripted import ScriptedModel, batches, write_scripted_model
from .server import HOST, Answer, Server, running_server, wait_until

INPUT_LIMIT_BYTES = 1024 * 1024

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


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.grpc_url) as client:
        yield client


@pytest.fixture(autouse=True)
def goes_on(server: Server) -> Iterator[None]:
    """After each test the server still works and has logged no error of its own."""
    yield
    answer = infer(server, "add_sub", ADD_SUB_INPUTS)
    assert answer.status == 200
    assert answer.json()["outputs"][0]["data"] == [3] * 16
    assert "Traceback" not in server.log_text()


def tensor(name: str, datatype: str, shape: list[Any], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def int_tensor(name: str, value: int = 1) -> dict[str, Any]:
    return tensor(name, "INT32", [1, 16], [value] * 16)


ADD_SUB_INPUTS = [int_tensor("INPUT0", 1), int_tensor("INPUT1", 2)]


def infer(server: Server, model: str, inputs: Any, **more: Any) -> Answer:
    return server.infer(model, {"inputs": inputs, **more})


def binary_request(inputs: list[dict[str, Any]], blobs: bytes, header_bytes: int | None = None) -> Request:
    """A request whose tensors follow the JSON; `header_bytes` is a wrong length of the JSON."""
    document = json.dumps({"inputs": inputs}).encode()
    length = len(document) if header_bytes is None else header_bytes
    return Request(document + blobs, {"Inference-Header-Content-Length": str(length)})


def binary_tensor(name: str, shape: list[int], size: int, datatype: str = "FP32") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


@dataclass(frozen=True)
class Request:
    """An HTTP inference request."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = "/v2/models/add_sub/infer"


def json_request(path: str = "/v2/models/add_sub/infer", **document: Any) -> Request:
    return Request(json.dumps(document).encode(), path=path)


IDENTITY = "/v2/models/identity/infer"
RID = "[request id: <id_unknown>] "
SHAPE_NOTE = "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended"

HTTP_CASES: dict[str, tuple[Request, int, str]] = {
    "unknown path": (Request(b"{}", path="/v3"), 404, "Not Found"),
    "unknown model": (
        json_request("/v2/models/nosuch/infer", inputs=ADD_SUB_INPUTS),
        404,
        "Request for unknown model: 'nosuch' is not found",
    ),
    "unknown version": (
        json_request("/v2/models/add_sub/versions/7/infer", inputs=ADD_SUB_INPUTS),
        404,
        "Request for unknown model: 'add_sub' version 7 is not found",
    ),
    "version that is no number": (
        json_request("/v2/models/add_sub/versions/one/infer", inputs=ADD_SUB_INPUTS),
        404,
        "Not Found",
    ),
    "unknown input": (
        json_request(inputs=[int_tensor("INPUT0"), int_tensor("FOO")]),
        400,
        "unexpected inference input 'FOO' for model 'add_sub'",
    ),
    "missing input": (
        json_request(inputs=[int_tensor("INPUT0")]),
        400,
        RID + "expected 2 inputs but got 1 inputs for model 'add_sub'. Got input(s) ['INPUT0'], but missing required "
        "input(s) ['INPUT1']. Please provide all required input(s).",
    ),
    "extra input": (
        json_request(inputs=[*ADD_SUB_INPUTS, int_tensor("INPUT2")]),
        400,
        RID + "expected 2 inputs but got 3 inputs for model 'add_sub'.",
    ),
    "input twice": (
        json_request(inputs=[int_tensor("INPUT0"), int_tensor("INPUT0")]),
        400,
        RID + "input 'INPUT0' already exists in request",
    ),
    "unknown output": (
        json_request(inputs=ADD_SUB_INPUTS, outputs=[{"name": "NOPE"}]),
        400,
        "unexpected inference output 'NOPE' for model 'add_sub'",
    ),
    "wrong datatype": (
        json_request(inputs=[tensor("INPUT0", "FP32", [1, 16], [1.0] * 16), int_tensor("INPUT1")]),
        400,
        RID + "inference input 'INPUT0' data-type is 'FP32', but model 'add_sub' expects 'INT32'",
    ),
    "unknown datatype": (
        json_request(inputs=[tensor("INPUT0", "INT33", [1, 16], [1] * 16), int_tensor("INPUT1")]),
        400,
        "invalid datatype for input INPUT0",
    ),
    "wrong shape": (
        json_request(inputs=[tensor("INPUT0", "INT32", [1, 15], [1] * 15), int_tensor("INPUT1")]),
        400,
        RID + f"unexpected shape for input 'INPUT0' for model 'add_sub'. Expected [-1,16], got [1,15]. {SHAPE_NOTE}",
    ),
    "shape without batch dimension": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [2], [1.0, 2.0])]),
        400,
        RID + f"unexpected shape for input 'INPUT' for model 'identity'. Expected [-1,-1], got [2]. {SHAPE_NOTE}",
    ),
    "negative dimension": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [1, -1], [1.0])]),
        500,
        "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer",
    ),
    "different batch sizes": (
        json_request(inputs=[int_tensor("INPUT0"), tensor("INPUT1", "INT32", [2, 16], [1] * 32)]),
        400,
        RID + "input 'INPUT1' batch size does not match other inputs for 'add_sub'",
    ),
    "batch too large": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [9, 1], [1.0] * 9)]),
        400,
        RID + "inference request batch-size must be <= 8 for 'identity'",
    ),
    "more data than the shape": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [1, 2], [1.0, 2.0, 3.0])]),
        500,
        "shape does not match true shape of 'data' field",
    ),
    "less data than the shape": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [1, 2], [1.0])]),
        500,
        "shape does not match true shape",
    ),
    "text among numbers": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [1, 2], [1.0, "two"])]),
        500,
        "Unable to parse 'data': attempt to access JSON non-number as double",
    ),
    "half precision as JSON": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP16", [1, 1], [1.0])]),
        400,
        "receiving FP16 data via JSON is not supported. Please use the binary data format for input INPUT",
    ),
    "no data": (
        json_request(IDENTITY, inputs=[{"name": "INPUT", "datatype": "FP32", "shape": [1, 1]}]),
        400,
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
        "'shared_memory_region' in 'parameters'. But no field is set",
    ),
    "no inputs": (
        json_request(id="a"),
        500,
        "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'",
    ),
    "inputs of the wrong kind": (
        json_request(inputs="all"),
        500,
        "Unable to parse 'inputs': attempt to access JSON non-array as array",
    ),
    "id of the wrong kind": (
        json_request(id=5, inputs=ADD_SUB_INPUTS),
        500,
        "Unable to parse 'id': attempt to access JSON non-string as string",
    ),
    "reserved parameter": (
        json_request(inputs=ADD_SUB_INPUTS, parameters={"triton_x": 1}),
        400,
        "parameter keys starting with 'triton_' are reserved",
    ),
    "priority of the wrong kind": (
        json_request(inputs=ADD_SUB_INPUTS, parameters={"priority": "high"}),
        500,
        "Unable to parse 'priority': attempt to access JSON non-unsigned-integer as unsigned-integer",
    ),
    "malformed JSON": (Request(b'{"inputs": [}'), 500, "failed to parse the request JSON buffer: "),
    "JSON cut short": (Request(b'{"inputs": [{"name": "INPUT0"'), 500, "failed to parse the request JSON buffer: "),
    "no JSON at all": (Request(b"\x00\x01\xff"), 500, "failed to parse the request JSON buffer: "),
    "bytes after the JSON": (
        Request(b"{} {}"),
        500,
        "failed to parse the request JSON buffer: The document root must not be followed by other values.",
    ),
    "JSON nested too deeply": (
        Request(
            b'{"inputs":[{"name":"INPUT","datatype":"FP32","shape":[1,1],"data":' + b"[" * 5000 + b"]" * 5000 + b"}]}",
            path=IDENTITY,
        ),
        400,
        "JSON nesting depth exceeds maximum allowed limit (100)",
    ),
    "JSON above the limit": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [1, 400_000], [1.0] * 400_000)]),
        400,
        f"exceeds the maximum allowed input size of {INPUT_LIMIT_BYTES} bytes. "
        "Use --http-max-input-size to increase the limit.",
    ),
    "empty body for two inputs": (
        Request(b""),
        400,
        RID + "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'add_sub' model "
        "configuration",
    ),
    "binary data too short": (
        Request(
            binary_request([binary_tensor("INPUT", [1, 2], 8)], b"1234").body,
            binary_request([binary_tensor("INPUT", [1, 2], 8)], b"1234").headers,
            IDENTITY,
        ),
        400,
        "unexpected size for input 'INPUT', expecting 4 additional bytes for model 'identity'",
    ),
    "binary data too long": (
        Request(
            binary_request([binary_tensor("INPUT", [1, 2], 8)], b"123456789").body,
            binary_request([binary_tensor("INPUT", [1, 2], 8)], b"").headers,
            IDENTITY,
        ),
        400,
        "unexpected additional input data for model 'identity'",
    ),
    "binary size that does not fit the shape": (
        Request(
            binary_request([binary_tensor("INPUT", [1, 2], 4)], b"1234").body,
            binary_request([binary_tensor("INPUT", [1, 2], 4)], b"").headers,
            IDENTITY,
        ),
        400,
        RID + "input byte size mismatch for input 'INPUT' for model 'identity'. Expected 8, got 4",
    ),
    "JSON length beyond the body": (
        Request(b"{}", {"Inference-Header-Content-Length": "9999"}),
        400,
        "inference header size should be in range (0, 2), got: 9999",
    ),
    "negative JSON length": (
        Request(b"{}", {"Inference-Header-Content-Length": "-1"}),
        400,
        "inference header size should be in range (0, 2), got: -1",
    ),
    "JSON length that is no number": (
        Request(b"{}", {"Inference-Header-Content-Length": "abc"}),
        400,
        "Unable to parse Inference-Header-Content-Length, got: abc",
    ),
    "shape of astronomic size": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [8, 2**62], [1.0])]),
        400,
        "maximum",
    ),
    "unknown compression": (Request(b"{}", {"Content-Encoding": "br"}), 501, "Unsupported compression type"),
    "compressed data that is none": (Request(b"not gzip", {"Content-Encoding": "gzip"}), 400, ""),
    "compressed data above the limit": (
        Request(zlib.compress(b" " * (2 * INPUT_LIMIT_BYTES)), {"Content-Encoding": "deflate"}),
        400,
        f"Decompressed data size exceeds the maximum allowed value of {INPUT_LIMIT_BYTES} bytes.",
    ),
}


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


# Connections that do not do what they promise.


def request_head(path: str, content_length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {content_length}\r\n\r\n".encode()


def connect(server: Server) -> socket.socket:
    return socket.create_connection((HOST, server.http_port), timeout=10)


VALID_BODY = json.dumps({"inputs": ADD_SUB_INPUTS}).encode()


def success_count(server: Server) -> int:
    count = server.statistics("add_sub")["inference_stats"]["success"]["count"]
    assert isinstance(count, int)
    return count


def test_a_body_cut_short_is_no_request(server: Server) -> None:
    before = success_count(server)
    with connect(server) as connection:
        connection.sendall(request_head("/v2/models/add_sub/infer", len(VALID_BODY)) + VALID_BODY[:-1])
    with connect(server) as connection:
        connection.sendall(request_head("/v2/models/add_sub/infer", 1_000_000)[:-2])
    assert infer(server, "add_sub", ADD_SUB_INPUTS).status == 200
    assert success_count(server) == before + 1


def test_a_chunk_cut_short_is_no_request(server: Server) -> None:
    before = success_count(server)
    head = f"POST /v2/models/add_sub/infer HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with connect(server) as connection:
        connection.sendall(head + f"{len(VALID_BODY):x}\r\n".encode() + VALID_BODY + b"\r\n")
    assert infer(server, "add_sub", ADD_SUB_INPUTS).status == 200
    assert success_count(server) == before + 1


def test_a_slow_request_is_waited_for_and_holds_up_nobody(server: Server) -> None:
    with connect(server) as connection:
        message = request_head("/v2/models/add_sub/infer", len(VALID_BODY)) + VALID_BODY
        for start in range(0, len(message), 100):
            connection.sendall(message[start : start + 100])
            assert infer(server, "add_sub", ADD_SUB_INPUTS).status == 200
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_in_one_packet_are_answered_in_order(server: Server) -> None:
    good = request_head("/v2/models/add_sub/infer", len(VALID_BODY)) + VALID_BODY
    bad = request_head("/v2/models/nosuch/infer", len(VALID_BODY)) + VALID_BODY
    with connect(server) as connection:
        connection.sendall(good + bad + good)
        received = b""
        while received.count(b"HTTP/1.1 ") < 3:
            part = connection.recv(65536)
            assert part, "the connection was closed early"
            received += part
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v2/models/add_sub/infer HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /v2/models/add_sub/infer HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v2/models/add_sub/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 100_000,
    ],
    ids=["TLS", "no path", "length of letters", "negative length", "chunk of letters", "zeros"],
)
def test_garbage_on_the_http_port_ends_the_connection(server: Server, garbage: bytes) -> None:
    with connect(server) as connection:
        received = exchange(connection, garbage)
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 10_000], ids=["HTTP/1", "bytes"])
def test_garbage_on_the_grpc_port_hurts_nobody(
    server: Server, client: triton.InferenceServerClient, garbage: bytes
) -> None:
    with closing(socket.create_connection((HOST, server.grpc_port), timeout=10)) as connection:
        exchange(connection, garbage)
    assert client.is_server_live()


def exchange(connection: socket.socket, message: bytes) -> bytes:
    """Send, then read until the server closes the connection, which it must."""
    received = b""
    try:
        connection.sendall(message)
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    except BrokenPipeError:
        pass
    return received


# gRPC.


def grpc_input(name: str, shape: list[int], datatype: str = "INT32") -> Any:
    return service_pb2.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)


def grpc_request(**fields: Any) -> Any:
    data = np.ones((1, 16), np.int32).tobytes()
    defaults = {
        "model_name": "add_sub",
        "inputs": [grpc_input("INPUT0", [1, 16]), grpc_input("INPUT1", [1, 16])],
        "raw_input_contents": [data, data],
    }
    return service_pb2.ModelInferRequest(**{**defaults, **fields})


IDENTITY_RAW = {"model_name": "identity", "inputs": [grpc_input("INPUT", [1, 2], "FP32")]}

GRPC_CASES: dict[str, tuple[Any, grpc.StatusCode, str]] = {
    "unknown model": (
        grpc_request(model_name="nosuch"),
        grpc.StatusCode.NOT_FOUND,
        "Request for unknown model: 'nosuch' is not found",
    ),
    "no model": (
        grpc_request(model_name=""),
        grpc.StatusCode.NOT_FOUND,
        "Request for unknown model: '' is not found",
    ),
    "unknown version": (
        grpc_request(model_version="7"),
        grpc.StatusCode.NOT_FOUND,
        "Request for unknown model: 'add_sub' version 7 is not found",
    ),
    "version that is no number": (
        grpc_request(model_version="one"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "failed to get model version from specified version string 'one' (details: stol), "
        "version should be an integral value > 0",
    ),
    "missing input": (
        grpc_request(inputs=[grpc_input("INPUT0", [1, 16])]),
        grpc.StatusCode.INVALID_ARGUMENT,
        RID + "expected 2 inputs but got 1 inputs for model 'add_sub'.",
    ),
    "unknown input": (
        grpc_request(inputs=[grpc_input("INPUT0", [1, 16]), grpc_input("FOO", [1, 16])]),
        grpc.StatusCode.INVALID_ARGUMENT,
        "unexpected inference input 'FOO' for model 'add_sub'",
    ),
    "wrong datatype": (
        grpc_request(inputs=[grpc_input("INPUT0", [1, 16], "FP32"), grpc_input("INPUT1", [1, 16])]),
        grpc.StatusCode.INVALID_ARGUMENT,
        RID + "inference input 'INPUT0' data-type is 'FP32', but model 'add_sub' expects 'INT32'",
    ),
    "unknown datatype": (
        grpc_request(inputs=[grpc_input("INPUT0", [1, 16], "INT33"), grpc_input("INPUT1", [1, 16])]),
        grpc.StatusCode.INVALID_ARGUMENT,
        RID + "inference input 'INPUT0' data-type is '<invalid>', but model 'add_sub' expects 'INT32'",
    ),
    "wrong shape": (
        grpc_request(inputs=[grpc_input("INPUT0", [1, 15]), grpc_input("INPUT1", [1, 16])]),
        grpc.StatusCode.INVALID_ARGUMENT,
        RID + "unexpected shape for input 'INPUT0' for model 'add_sub'. Expected [-1,16], got [1,15].",
    ),
    "open dimension": (
        grpc_request(**IDENTITY_RAW | {"inputs": [grpc_input("INPUT", [1, -1], "FP32")]}),
        grpc.StatusCode.INVALID_ARGUMENT,
        RID + "All input dimensions should be specified for input 'INPUT' for model 'identity', got [1,-1]",
    ),
    "wrong size": (
        grpc_request(**IDENTITY_RAW, raw_input_contents=[b"1234"]),
        grpc.StatusCode.INVALID_ARGUMENT,
        RID + "input byte size mismatch for input 'INPUT' for model 'identity'. Expected 8, got 4",
    ),
    "no data": (
        grpc_request(**IDENTITY_RAW, raw_input_contents=[]),
        grpc.StatusCode.INVALID_ARGUMENT,
        "unable to find data for input tensor 'INPUT' for model 'identity' in request.",
    ),
    "unknown output": (
        grpc_request(outputs=[service_pb2.ModelInferRequest.InferRequestedOutputTensor(name="NOPE")]),
        grpc.StatusCode.INVALID_ARGUMENT,
        "unexpected inference output 'NOPE' for model 'add_sub'",
    ),
}


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
    calls = [raw_infer.future(string_request(model, data), timeout=20) for data in (elements(b"first"), bad, elements(b"last"))]
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


def test_refused_requests_leave_those_in_the_queue_alone(
    server: Server, client: triton.InferenceServerClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scripted = ScriptedModel(server, client, "scripted", tmp_path_factory.mktemp("gates"))
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
        request, expected_status, _ = (
            bad[number % len(bad)] if number % 2 else (Request(VALID_BODY), 200, "")
        )
        status = server.request("POST", request.path, request.body, request.headers).status
        if status != expected_status:
            wrong.append((number, status))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2 * len(bad))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_idle_connection_is_no_obstacle(server: Server) -> None:
    with connect(server), connect(server):
        time.sleep(0.05)
        wait_until(lambda: infer(server, "add_sub", ADD_SUB_INPUTS).status == 200, "requests are answered")

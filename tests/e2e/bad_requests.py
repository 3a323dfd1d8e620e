"""Requests that must be refused, each with the status and (a part of) the message it must get.

They are for the models of `test_bad_input.py`: `add_sub` (INT32 [16], twice) and `identity` (FP32 [-1]), both with
`max_batch_size` 8.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

INPUT_LIMIT_BYTES = 1024 * 1024
"""The server's --http-max-input-size."""


def tensor(name: str, datatype: str, shape: list[Any], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def int_tensor(name: str, value: int = 1) -> dict[str, Any]:
    return tensor(name, "INT32", [1, 16], [value] * 16)


ADD_SUB_INPUTS = [int_tensor("INPUT0", 1), int_tensor("INPUT1", 2)]


def binary_request(path: str, inputs: list[dict[str, Any]], blobs: bytes) -> Request:
    """A request whose binary tensors follow the JSON."""
    document = json.dumps({"inputs": inputs}).encode()
    return Request(document + blobs, {"Inference-Header-Content-Length": str(len(document))}, path)


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
        "batch size does not match other inputs for 'add_sub'",
    ),
    "batch too large": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [9, 1], [1.0] * 9)]),
        400,
        RID + "inference request batch-size must be <= 8 for 'identity'",
    ),
    "more data than the shape": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [1, 2], [1.0, 2.0, 3.0])]),
        500,
        "does not match true shape",
    ),
    "less data than the shape": (
        json_request(IDENTITY, inputs=[tensor("INPUT", "FP32", [1, 2], [1.0])]),
        500,
        "does not match true shape",
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
        binary_request(IDENTITY, [binary_tensor("INPUT", [1, 2], 8)], b"1234"),
        400,
        "unexpected size for input 'INPUT', expecting 4 additional bytes for model 'identity'",
    ),
    "binary data too long": (
        binary_request(IDENTITY, [binary_tensor("INPUT", [1, 2], 8)], b"123456789"),
        400,
        "unexpected additional input data for model 'identity'",
    ),
    "binary size that does not fit the shape": (
        binary_request(IDENTITY, [binary_tensor("INPUT", [1, 2], 4)], b"1234"),
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

"""Short ways to write requests down, so that the tables of exchanges read as tables."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import Message
from tritonclient.grpc import service_pb2

from ..exchange import Answer, GrpcRequest, HttpRequest

SERVICE = "/inference.GRPCInferenceService/"
HEADER_LENGTH = "Inference-Header-Content-Length"
Headers = Mapping[str, str]

NUMPY_TYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


@dataclass(frozen=True, slots=True)
class Input:
    """An input tensor that can be written in every form a request may have.

    ``values`` is flat; strings for BYTES, bit patterns for BF16. ``Any`` because JSON takes whatever a bad client
    may write there.
    """

    name: str
    datatype: str
    shape: Sequence[int]
    values: Sequence[Any]

    def as_json(self) -> dict[str, Any]:
        return {**self._head(), "data": list(self.values)}

    def as_binary(self) -> dict[str, Any]:
        return {**self._head(), "parameters": {"binary_data_size": len(self.data())}}

    def as_grpc(self) -> Any:
        return service_pb2.ModelInferRequest.InferInputTensor(**self._head())

    def data(self) -> bytes:
        if self.datatype == "BYTES":
            return b"".join(element(value) for value in self.values)
        if self.datatype == "BF16":
            return np.array(self.values, np.uint16).tobytes()
        return np.array(self.values, NUMPY_TYPES[self.datatype]).tobytes()

    def _head(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def element(value: str | bytes) -> bytes:
    """Return one BYTES element as it goes on the wire: its length in four bytes, little-endian, then its bytes."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def fp32(*values: float, name: str = "INPUT0") -> Input:
    """One row for a batching model: shape [1, n]."""
    return Input(name, "FP32", [1, len(values)], values)


def strings(*values: str | bytes, name: str = "INPUT0") -> Input:
    """A tensor for a model without batching: shape [n]."""
    return Input(name, "BYTES", [len(values)], values)


def sixteen(name: str, start: int, rows: int = 1) -> Input:
    """An input of add_sub: ``rows`` rows of 16 numbers from ``start``."""
    return Input(name, "INT32", [rows, 16], range(start, start + 16 * rows))


def get(path: str, **headers: str) -> HttpRequest:
    return HttpRequest("GET", path, tuple(headers.items()))


def post(path: str, body: bytes | str = b"", headers: Headers | None = None) -> HttpRequest:
    data = body.encode() if isinstance(body, str) else body
    return HttpRequest("POST", path, tuple((headers or {}).items()), data)


def infer_text(model: str, body: bytes | str, headers: Headers | None = None) -> HttpRequest:
    """An infer request with a body that is not necessarily JSON."""
    return post(f"/v2/models/{model}/infer", body, headers)


def tensor_text(name: str, shape: str, datatype: str, data: str) -> str:
    """A request of one input whose shape and data are JSON text, for what Python would write otherwise."""
    return f'{{"inputs":[{{"name":"{name}","shape":{shape},"datatype":"{datatype}","data":{data}}}]}}'


def infer_json(model: str, *inputs: Input, **members: Any) -> HttpRequest:
    """``members`` are further members of the request document: id, parameters, outputs."""
    return infer_text(model, json.dumps({**members, "inputs": [each.as_json() for each in inputs]}))


def infer_binary(model: str, *inputs: Input, headers: Headers | None = None, **members: Any) -> HttpRequest:
    """Every input's data after the JSON document."""
    document = {**members, "inputs": [each.as_binary() for each in inputs]}
    return infer_parts(model, document, b"".join(each.data() for each in inputs), headers)


def infer_parts(model: str, document: Any, tail: bytes, headers: Headers | None = None) -> HttpRequest:
    """A document and the bytes after it, with the length header that separates them."""
    head = json.dumps(document).encode()
    return infer_text(model, head + tail, {HEADER_LENGTH: str(len(head)), **(headers or {})})


def output(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters} if parameters else {"name": name}


def call(method: str, message: Message, answer_type: type[Message]) -> GrpcRequest:
    return GrpcRequest(SERVICE + method, message, answer_type)


def infer_grpc(model: str, *inputs: Input, raw: Sequence[bytes] | None = None, **fields: Any) -> GrpcRequest:
    """Inputs as raw contents; ``raw`` replaces them. ``fields`` are further fields of ModelInferRequest."""
    contents = [each.data() for each in inputs] if raw is None else raw
    message = service_pb2.ModelInferRequest(
        model_name=model, inputs=[each.as_grpc() for each in inputs], raw_input_contents=contents, **fields
    )
    return infer_message(message)


def infer_message(message: Message) -> GrpcRequest:
    return call("ModelInfer", message, service_pb2.ModelInferResponse)


def parameters(**values: bool | int | float | str) -> dict[str, Any]:
    """gRPC parameters, each in the field of its Python type."""
    fields = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    return {key: service_pb2.InferParameter(**{fields[type(value)]: value}) for key, value in values.items()}


def http_error(status: int, message: str, content_type: str = "application/json") -> Answer:
    """The recorded form of an HTTP error."""
    return {"status": status, "headers": {"content-type": content_type}, "json": {"error": message}}


def grpc_error(code: str, message: str) -> Answer:
    """The recorded form of a gRPC error."""
    return {"code": code, "details": message}

"""Each of the 14 datatypes through each way in: JSON, binary, gRPC raw and gRPC typed contents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonclient.grpc import service_pb2

from ..exchange import Exchange, GrpcRequest
from .build import Input, infer_binary, infer_grpc, infer_json, infer_message, output

VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False, True],
    "UINT8": [0, 1, 255],
    "UINT16": [0, 1, 65535],
    "UINT32": [0, 1, 4294967295],
    "UINT64": [0, 1, 18446744073709551615],
    "INT8": [-128, 0, 127],
    "INT16": [-32768, 0, 32767],
    "INT32": [-2147483648, 0, 2147483647],
    "INT64": [-9223372036854775808, 0, 9223372036854775807],
    "FP16": [0.5, -65504.0, 1.0],
    "FP32": [0.5, -1e30, 1.0],
    "FP64": [0.5, -1e300, 1.0],
    "BF16": [0x3F80, 0xC000, 0x7F80],
    "BYTES": ["one", "", "three"],
}
CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The typed list of a datatype; FP16 and BF16 have none."""


def sample(datatype: str) -> Input:
    return Input(f"IN_{datatype}", datatype, [3], VALUES[datatype])


def typed(datatype: str, values: list[Any]) -> GrpcRequest:
    """A call whose only input is in the typed list of its datatype."""
    if datatype == "BYTES":
        values = [value.encode() for value in values]
    head = {"name": f"IN_{datatype}", "datatype": datatype, "shape": [len(values)]}
    contents = service_pb2.InferTensorContents(**{CONTENTS[datatype]: values})
    tensor = service_pb2.ModelInferRequest.InferInputTensor(**head, contents=contents)
    return infer_message(service_pb2.ModelInferRequest(model_name="types", inputs=[tensor]))


def of_each_datatype() -> Iterator[Exchange]:
    for datatype in VALUES:
        lower, tensor = datatype.lower(), sample(datatype)
        wanted = [output(f"OUT_{datatype}", binary_data=True)]
        yield Exchange(f"http-json-{lower}", infer_json("types", tensor))
        yield Exchange(f"http-binary-{lower}", infer_binary("types", tensor, outputs=wanted))
        yield Exchange(f"http-binary-to-json-{lower}", infer_binary("types", tensor))
        yield Exchange(f"grpc-raw-{lower}", infer_grpc("types", tensor))
        if datatype in CONTENTS:
            yield Exchange(f"grpc-typed-{lower}", typed(datatype, VALUES[datatype]))


EXCHANGES = (
    *of_each_datatype(),
    Exchange("grpc-typed-int8-wraps", typed("INT8", [200, -129])),
    Exchange("grpc-typed-uint8-wraps", typed("UINT8", [256, 300])),
    Exchange("http-several-datatypes", infer_json("types", *(sample(each) for each in ("BOOL", "INT64", "BYTES")))),
    Exchange("grpc-several-datatypes", infer_grpc("types", *(sample(each) for each in ("FP64", "UINT8", "BYTES")))),
)

"""Binary sections, raw requests, contents fields and sizes that do not fit."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import service_pb2

from ..exchange import Differs, Exchange, GrpcRequest, HttpRequest
from .build import (
    HEADER_LENGTH,
    Input,
    fp32,
    http_error,
    infer_binary,
    infer_grpc,
    infer_json,
    infer_message,
    infer_parts,
    infer_text,
    output,
    strings,
)

VALID = '{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","data":[1.5,2.5]}]}'
EIGHT_BYTES = b"\x00\x00\x80?\x00\x00 @"
RAW = {HEADER_LENGTH: "0"}
BEYOND_64_BITS = "99999999999999999999"


def header_length(value: str) -> HttpRequest:
    return infer_text("identity", VALID, {HEADER_LENGTH: value})


def sized(size: Any, tail: bytes, shape: tuple[int, ...] = (1, 2), **more: Any) -> HttpRequest:
    """One FP32 input that says its data has ``size`` bytes, and the bytes that follow."""
    tensor = {"name": "INPUT0", "shape": shape, "datatype": "FP32", "parameters": {"binary_data_size": size}}
    return infer_parts("identity", {"inputs": [{**tensor, **more}]}, tail)


def string_data(count: int, data: bytes) -> HttpRequest:
    tensor = {
        "name": "INPUT0",
        "shape": [count],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(data)},
    }
    return infer_parts("ident_str", {"inputs": [tensor]}, data)


def contents(raw: tuple[bytes, ...] = (), datatype: str = "FP32", **lists: list[Any]) -> GrpcRequest:
    """INPUT0 of identity with typed contents, and raw contents beside them."""
    message = service_pb2.ModelInferRequest(model_name="identity", raw_input_contents=raw)
    filled = service_pb2.InferTensorContents(**lists)
    message.inputs.add(name="INPUT0", datatype=datatype, shape=[1, 2], contents=filled)
    return infer_message(message)


def unreadable_length(message: str) -> Differs:
    reason = "the recorded server reads a length it cannot parse as some number and goes on"
    return Differs(http_error(400, message, "text/plain"), reason)


def to_region(**parameters: Any) -> HttpRequest:
    """A request for OUTPUT0 in a shared memory region, and in another form as well."""
    wanted = output("OUTPUT0", shared_memory_region="r", shared_memory_byte_size=8, **parameters)
    return infer_json("identity", fp32(1.0, 2.0), outputs=[wanted])


def half_precision(datatype: str) -> Input:
    return Input(f"IN_{datatype}", datatype, [1], [1])


EXCHANGES = (
    Exchange("http-header-length-too-big", header_length("9999")),
    Exchange("http-header-length-negative", header_length("-1")),
    Exchange(
        "http-header-length-word",
        header_length("abc"),
        differs=unreadable_length("Unable to parse Inference-Header-Content-Length, got: abc"),
    ),
    Exchange(
        "http-header-length-overflow",
        header_length(BEYOND_64_BITS),
        differs=unreadable_length(
            "Unable to parse Inference-Header-Content-Length, value is out of range "
            f"[ -2147483648, 2147483647 ], got: {BEYOND_64_BITS}"
        ),
    ),
    Exchange("http-header-length-cuts-json", header_length("10")),
    Exchange(
        "http-header-length-includes-data",
        infer_text("identity", VALID + "12345678", {HEADER_LENGTH: str(len(VALID) + 8)}),
    ),
    Exchange("http-binary-missing", sized(8, b"")),
    Exchange("http-binary-truncated", sized(8, EIGHT_BYTES[:5])),
    Exchange("http-binary-too-long", sized(8, EIGHT_BYTES + b"1234")),
    Exchange(
        "http-binary-after-json-data",
        infer_text("identity", VALID + "1234", {HEADER_LENGTH: str(len(VALID))}),
    ),
    Exchange("http-binary-without-header", infer_text("identity", VALID + "abcd")),
    Exchange("http-binary-size-too-small", sized(4, EIGHT_BYTES[:4])),
    Exchange("http-binary-size-too-big", sized(12, EIGHT_BYTES + b"1234")),
    Exchange("http-binary-size-negative", sized(-8, EIGHT_BYTES)),
    Exchange("http-binary-size-text", sized("8", EIGHT_BYTES)),
    Exchange("http-binary-size-double", sized(8.0, EIGHT_BYTES)),
    Exchange("http-binary-size-null", sized(None, EIGHT_BYTES)),
    Exchange("http-binary-size-zero", sized(0, b"")),
    Exchange("http-binary-size-and-data", sized(8, EIGHT_BYTES, data=[1.0, 2.0])),
    Exchange(
        "http-binary-size-and-region",
        sized(8, EIGHT_BYTES, parameters={"binary_data_size": 8, "shared_memory_region": "r"}),
    ),
    Exchange(
        "http-binary-missing-second",
        infer_parts(
            "add_sub",
            {"inputs": [Input(n, "INT32", [1, 16], range(16)).as_binary() for n in ("INPUT0", "INPUT1")]},
            bytes(64),
        ),
    ),
    Exchange("http-strings-too-many", string_data(2, strings("a", "b", "c").data())),
    Exchange("http-strings-too-few", string_data(4, strings("a", "b", "c").data())),
    Exchange("http-string-cut-in-length", string_data(2, b"\x01\x00\x00\x00a\x01\x00")),
    Exchange(
        "http-string-cut-in-element",
        string_data(1, b"\x09\x00\x00\x00ab"),
        differs=Differs(
            http_error(
                400,
                "incomplete string data for inference input 'INPUT0', expecting string of length 9 but only 2 bytes "
                "available",
            ),
            "checked before the request reaches the model, so it has the content type of other bad requests",
        ),
    ),
    Exchange("http-raw-two-inputs", infer_text("add_sub", bytes(64), RAW)),
    Exchange("http-raw-string-of-variable-shape", infer_text("ident_str", b"hello", RAW)),
    Exchange("http-raw-odd-size", infer_text("identity", EIGHT_BYTES[:7], RAW)),
    Exchange("http-raw-not-a-row", infer_text("matrix", EIGHT_BYTES[:4], RAW)),
    Exchange("http-raw-two-variable-dimensions", infer_text("grid", EIGHT_BYTES, RAW)),
    Exchange("http-raw-unknown-model", infer_text("nosuch", EIGHT_BYTES, RAW)),
    Exchange("http-fp16-output-as-json", infer_binary("types", half_precision("FP16"))),
    Exchange("http-output-in-region-and-binary", to_region(binary_data=True)),
    Exchange("http-output-in-region-and-classified", to_region(classification=1)),
    Exchange("grpc-no-contents", infer_grpc("identity", fp32(1.0, 2.0), raw=[])),
    Exchange("grpc-contents-and-raw", contents((EIGHT_BYTES,), fp32_contents=[1.0, 2.0])),
    Exchange("grpc-contents-and-unused-raw", contents((b"",), fp32_contents=[1.0, 2.0])),
    Exchange("grpc-contents-of-other-type", contents(int_contents=[1, 2])),
    Exchange("grpc-contents-of-two-types", contents(fp32_contents=[1.0, 2.0], int_contents=[1, 2])),
    Exchange("grpc-contents-empty", contents()),
    Exchange("grpc-contents-too-few", contents(fp32_contents=[1.0])),
    Exchange("grpc-contents-too-many", contents(fp32_contents=[1.0, 2.0, 3.0])),
    Exchange("grpc-contents-for-fp16", contents(datatype="FP16", fp32_contents=[1.0, 2.0])),
    Exchange("grpc-raw-too-short", infer_grpc("identity", fp32(1.0, 2.0), raw=[EIGHT_BYTES[:4]])),
    Exchange("grpc-raw-too-long", infer_grpc("identity", fp32(1.0), raw=[EIGHT_BYTES])),
    Exchange(
        "grpc-raw-for-one-of-two",
        infer_grpc("add_sub", *(Input(n, "INT32", [1, 16], range(16)) for n in ("INPUT0", "INPUT1")), raw=[bytes(64)]),
    ),
)

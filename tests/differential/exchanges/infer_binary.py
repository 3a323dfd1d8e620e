"""Binary tensors over HTTP that succeed: in, out, mixed, raw requests, and binary_data_output."""

from __future__ import annotations

from ..exchange import Exchange
from .build import (
    HEADER_LENGTH,
    Input,
    fp32,
    infer_binary,
    infer_json,
    infer_parts,
    infer_text,
    output,
    sixteen,
    strings,
)

LEFT, RIGHT = sixteen("INPUT0", 0), sixteen("INPUT1", 100)
BINARY = {"binary_data": True}
RAW = {HEADER_LENGTH: "0"}
VALID = '{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","data":[1.5,2.5]}]}'
TWO_FLOATS = b"\x00\x00\x80?\x00\x00 @"

EXCHANGES = (
    Exchange("http-binary-in", infer_binary("identity", fp32(1.0, 2.5))),
    Exchange(
        "http-binary-both-ways",
        infer_binary("identity", fp32(1.0, 2.5), outputs=[output("OUTPUT0", **BINARY)]),
    ),
    Exchange("http-binary-out", infer_json("identity", fp32(1.0, 2.5), outputs=[output("OUTPUT0", **BINARY)])),
    Exchange(
        "http-binary-data-false",
        infer_json("identity", fp32(1.0), outputs=[output("OUTPUT0", binary_data=False)]),
    ),
    Exchange("http-all-outputs-binary", infer_json("add_sub", LEFT, RIGHT, parameters={"binary_data_output": True})),
    Exchange(
        "http-all-outputs-not-binary",
        infer_json("add_sub", LEFT, RIGHT, parameters={"binary_data_output": False}),
    ),
    Exchange(
        "http-listed-output-wins",
        infer_json("identity", fp32(1.0), parameters={"binary_data_output": True}, outputs=[output("OUTPUT0")]),
    ),
    Exchange(
        "http-binary-with-id",
        infer_binary("identity", fp32(1.0), id="r1", parameters={"binary_data_output": True}),
    ),
    Exchange(
        "http-binary-empty-id",
        infer_binary("identity", fp32(1.0), id="", outputs=[output("OUTPUT0", **BINARY)]),
    ),
    Exchange(
        "http-one-input-binary",
        infer_parts("add_sub", {"inputs": [LEFT.as_binary(), RIGHT.as_json()]}, LEFT.data()),
    ),
    Exchange(
        "http-other-input-binary",
        infer_parts("add_sub", {"inputs": [LEFT.as_json(), RIGHT.as_binary()]}, RIGHT.data()),
    ),
    Exchange(
        "http-mixed-both-ways",
        infer_parts(
            "add_sub",
            {
                "inputs": [LEFT.as_binary(), RIGHT.as_json()],
                "outputs": [output("OUTPUT1", **BINARY), output("OUTPUT0")],
            },
            LEFT.data(),
        ),
    ),
    Exchange(
        "http-two-binary-outputs-reversed",
        infer_json("add_sub", LEFT, RIGHT, outputs=[output("OUTPUT1", **BINARY), output("OUTPUT0", **BINARY)]),
    ),
    Exchange(
        "http-binary-strings",
        infer_binary("ident_str", strings(b"\xff\x00", "", "abc"), outputs=[output("OUTPUT0", **BINARY)]),
    ),
    Exchange("http-binary-no-strings", infer_binary("ident_str", strings(), outputs=[output("OUTPUT0", **BINARY)])),
    Exchange("http-binary-zero-columns", infer_binary("identity", fp32(), outputs=[output("OUTPUT0", **BINARY)])),
    Exchange(
        "http-json-zero-columns-binary-out",
        infer_json("identity", fp32(), parameters={"binary_data_output": True}),
    ),
    Exchange(
        "http-one-of-two-binary-outputs-empty",
        infer_json(
            "types",
            Input("IN_FP32", "FP32", [0], []),
            Input("IN_INT8", "INT8", [1], [5]),
            parameters={"binary_data_output": True},
        ),
    ),
    Exchange("http-length-header-of-whole-json", infer_text("identity", VALID, {HEADER_LENGTH: str(len(VALID))})),
    Exchange(
        "http-length-header-lower-case",
        infer_text("identity", VALID, {HEADER_LENGTH.lower(): str(len(VALID))}),
    ),
    Exchange("http-raw", infer_text("identity", TWO_FLOATS, RAW)),
    Exchange("http-raw-empty", infer_text("identity", b"", RAW)),
    Exchange("http-raw-without-header", infer_text("identity", b"")),
    Exchange("http-raw-string", infer_text("raw_str", b"hello", RAW)),
    Exchange("http-raw-matrix", infer_text("matrix", TWO_FLOATS * 3, RAW)),
    Exchange("http-raw-version", infer_text("identity/versions/1", TWO_FLOATS, RAW)),
)

"""Bodies that are no JSON, or not the JSON an infer request is."""

from __future__ import annotations

import json
from typing import Any

from ..exchange import Exchange, HttpRequest, Loosely
from .build import infer_text

DROP = object()
TENSOR = {"name": "INPUT0", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}
VALID = json.dumps({"inputs": [TENSOR]})


def changed(**members: Any) -> HttpRequest:
    """A good input with some members replaced, or left out where the value is DROP."""
    tensor = {key: value for key, value in {**TENSOR, **members}.items() if value is not DROP}
    return document(inputs=[tensor])


def document(**members: Any) -> HttpRequest:
    return infer_text("identity", json.dumps(members))


def with_outputs(outputs: Any) -> HttpRequest:
    return document(inputs=[TENSOR], outputs=outputs)


NOT_JSON = (
    ("brace", "{"),
    ("no-quotes", "{inputs:[]}"),
    ("white-space-only", "   "),
    ("word", "hello"),
    ("single-quotes", "{'inputs':[]}"),
    ("trailing-comma", '{"inputs":[],}'),
    ("missing-comma", '{"id":"a" "inputs":[]}'),
    ("missing-colon", '{"inputs" []}'),
    ("missing-value", '{"inputs":}'),
    ("open-list", '{"inputs":[1,2'),
    ("missing-comma-in-list", '{"inputs":[1 2]}'),
    ("open-string", '{"id":"abc'),
    ("comment", '{"inputs":[] /* none */}'),
    ("bad-escape", '{"id":"\\q"}'),
    ("bad-unicode-escape", '{"id":"\\u12g4"}'),
    ("lone-surrogate", '{"id":"\\ud800"}'),
    ("leading-zero", '{"inputs":[01]}'),
    ("plus-sign", '{"inputs":[+1]}'),
    ("hexadecimal", '{"inputs":[0x1]}'),
    ("bare-point", '{"inputs":[1.]}'),
    ("number-too-big", '{"inputs":[1e999]}'),
    ("binary", b"\x01\x02\x03"),
    ("trailing-bytes", VALID + "x"),
    ("two-documents", VALID + VALID),
)
WRONG_MEMBERS: tuple[tuple[str, HttpRequest], ...] = (
    ("root-list", infer_text("identity", "[]")),
    ("root-string", infer_text("identity", '"a"')),
    ("root-number", infer_text("identity", "1")),
    ("root-null", infer_text("identity", "null")),
    ("no-inputs", document(id="a")),
    ("inputs-object", document(inputs={})),
    ("inputs-null", document(inputs=None)),
    ("input-number", document(inputs=[1])),
    ("id-number", document(id=5, inputs=[TENSOR])),
    ("id-null", document(id=None, inputs=[TENSOR])),
    ("no-name", changed(name=DROP)),
    ("name-number", changed(name=1)),
    ("no-datatype", changed(datatype=DROP)),
    ("datatype-number", changed(datatype=1)),
    ("datatype-unknown", changed(datatype="FP33")),
    ("datatype-lower-case", changed(datatype="fp32")),
    ("datatype-config-name", changed(datatype="TYPE_FP32")),
    ("no-shape", changed(shape=DROP)),
    ("shape-number", changed(shape=2)),
    ("shape-text", changed(shape=["1", "2"])),
    ("shape-negative", changed(shape=[1, -1])),
    ("shape-double", changed(shape=[1.0, 2.0])),
    ("no-data", changed(data=DROP)),
    ("data-scalar", changed(data=1.0)),
    ("data-null", changed(data=None)),
    ("data-object", changed(data={"a": 1})),
    ("data-too-long", changed(data=[1.0, 2.0, 3.0])),
    ("data-text", changed(data=["1", "2"])),
    ("data-boolean", changed(data=[True, False])),
    ("data-with-null", changed(data=[1.0, None])),
    ("data-and-binary-size", changed(parameters={"binary_data_size": 8})),
    ("input-parameters-list", changed(parameters=[])),
    ("outputs-object", with_outputs({})),
    ("output-number", with_outputs([1])),
    ("output-without-name", with_outputs([{}])),
    ("output-name-number", with_outputs([{"name": 1}])),
    ("output-binary-data-text", with_outputs([{"name": "OUTPUT0", "parameters": {"binary_data": "yes"}}])),
    ("output-binary-data-number", with_outputs([{"name": "OUTPUT0", "parameters": {"binary_data": 1}}])),
)


def of_type(datatype: str, data: list[Any]) -> HttpRequest:
    tensor = {"name": f"IN_{datatype}", "datatype": datatype, "shape": [len(data)], "data": data}
    return infer_text("types", json.dumps({"inputs": [tensor]}))


WRONG_ELEMENTS: tuple[tuple[str, HttpRequest], ...] = (
    ("int-given-double", of_type("INT32", [1.0])),
    ("int-given-text", of_type("INT32", ["1"])),
    ("int-given-boolean", of_type("INT32", [True])),
    ("int-beyond-64-bits", of_type("INT64", [2**64])),
    ("unsigned-given-negative", of_type("UINT8", [-1])),
    ("unsigned-given-double", of_type("UINT32", [0.5])),
    ("boolean-given-number", of_type("BOOL", [1])),
    ("text-given-number", of_type("BYTES", [1])),
    ("text-given-null", of_type("BYTES", [None])),
    ("fp64-given-text", of_type("FP64", ["1.0"])),
)

EXCHANGES = (
    *(Exchange(f"http-not-json-{name}", infer_text("identity", body)) for name, body in NOT_JSON),
    *(Exchange(f"http-wrong-{name}", request) for name, request in WRONG_MEMBERS),
    *(Exchange(f"http-wrong-{name}", request) for name, request in WRONG_ELEMENTS),
    Exchange(
        "http-not-json-control-character",
        infer_text("identity", '{"id":"a\x01"}'),
        loosely=Loosely(
            r"failed to parse the request JSON buffer: Invalid (escape character|encoding) in string\. at 8",
            "the wording changed between versions of the JSON parser that both servers use",
        ),
    ),
    Exchange(
        "http-wrong-data-too-short",
        changed(data=[1.0]),
        loosely=Loosely(
            r"(Unable to parse 'data': Shape|Failed to parse 'data' field: shape) does not match true shape.*",
            "the wording changed between versions of the recorded server",
        ),
    ),
)

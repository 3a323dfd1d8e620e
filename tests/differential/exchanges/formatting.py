"""How values look in JSON, as text: floats, NaN, infinities, integers, escapes, bytes that are no UTF-8."""

from __future__ import annotations

from ..exchange import Exchange
from .build import HEADER_LENGTH, Input, infer_binary, infer_json, infer_text, output, strings, tensor_text

DOUBLES = (
    1e-5,
    1e-6,
    1e-7,
    1e5,
    1e20,
    1e21,
    -0.0,
    1 / 3,
    1e16,
    5e-324,
    1.7976931348623157e308,
    123456789.125,
)
SINGLES = (0.1, 1e-8, 123456789.0, 16777217.0)
NOT_NEAREST = (-1e-6, 3.4028234663852886e38, 1e38, -0.001)
"""Of these the recorded server prints digits that are as many as the shortest, but not the nearest."""

SPECIAL = "[NaN,Infinity,-Infinity,-0.0,0,1e2,1E-2,-1.25e+2]"
FRACTIONAL = (0.5, 0.1, 65504.0, 6e-8)


def types(datatype: str, count: int, data: str) -> str:
    return tensor_text(f"IN_{datatype}", f"[{count}]", datatype, data)


EXCHANGES = (
    Exchange(
        "http-doubles",
        infer_json("types", Input("IN_FP64", "FP64", [len(DOUBLES)], DOUBLES)),
        exact_text=True,
    ),
    Exchange(
        "http-singles",
        infer_json("types", Input("IN_FP32", "FP32", [len(SINGLES)], SINGLES)),
        exact_text=True,
    ),
    Exchange(
        "http-singles-not-nearest", infer_json("types", Input("IN_FP32", "FP32", [len(NOT_NEAREST)], NOT_NEAREST))
    ),
    Exchange("http-special-doubles", infer_text("types", types("FP64", 8, SPECIAL)), exact_text=True),
    Exchange("http-special-singles", infer_text("types", types("FP32", 8, SPECIAL)), exact_text=True),
    Exchange("http-inf-short", infer_text("types", types("FP32", 2, "[Inf,-Inf]")), exact_text=True),
    Exchange("http-single-overflow", infer_text("types", types("FP32", 1, "[1e40]")), exact_text=True),
    Exchange(
        "http-big-integer-as-double",
        infer_text("types", types("FP64", 1, "[100000000000000000000]")),
        exact_text=True,
    ),
    Exchange(
        "http-many-digits",
        infer_text("types", types("FP64", 1, "[0.1000000000000000055511151231257827]")),
        exact_text=True,
    ),
    Exchange(
        "http-integer-limits",
        infer_text("types", types("INT64", 2, "[9223372036854775807,-9223372036854775808]")),
        exact_text=True,
    ),
    Exchange(
        "http-unsigned-limit",
        infer_text("types", types("UINT64", 1, "[18446744073709551615]")),
        exact_text=True,
    ),
    Exchange("http-uint8-wraps", infer_text("types", types("UINT8", 3, "[255,256,300]")), exact_text=True),
    Exchange("http-int8-wraps", infer_text("types", types("INT8", 3, "[127,200,-129]")), exact_text=True),
    Exchange(
        "http-int32-wraps",
        infer_text("types", types("INT32", 2, "[2147483648,-2147483649]")),
        exact_text=True,
    ),
    Exchange("http-booleans", infer_text("types", types("BOOL", 2, "[true,false]")), exact_text=True),
    Exchange(
        "http-string-escapes",
        infer_json("ident_str", strings('"\\/', "\b\f\n\r\t", "\x00\x01\x1f\x7f")),
        exact_text=True,
    ),
    Exchange(
        "http-string-unicode",
        infer_json("ident_str", strings("\u00e9", "\u2603", "\U0001f600")),
        exact_text=True,
    ),
    Exchange(
        "http-strings-not-utf8-out",
        infer_binary("ident_str", strings(b"abc", b"", b"\xff\x00", b"\xc3("), outputs=[output("OUTPUT0")]),
        exact_text=True,
    ),
    Exchange(
        "http-strings-not-utf8-in",
        infer_text("ident_str", b'{"inputs":[{"name":"INPUT0","shape":[1],"datatype":"BYTES","data":["\xff\xfe"]}]}'),
        exact_text=True,
    ),
    Exchange(
        "http-fp32-from-binary",
        infer_binary("types", Input("IN_FP32", "FP32", [4], FRACTIONAL), outputs=[output("OUT_FP32")]),
        exact_text=True,
    ),
    Exchange(
        "http-error-exact-text",
        infer_text("identity", '{"inputs":[{"name":"FOO","shape":[1],"datatype":"FP32","data":[1]}]}'),
        exact_text=True,
    ),
    Exchange("http-binary-length-zero-header", infer_text("raw_str", b"\xff\x00raw", {HEADER_LENGTH: "0"})),
)

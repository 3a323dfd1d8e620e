"""Reads Triton's dialect of JSON: orjson where it accepts the text, RapidJSON for everything else.

Beyond JSON the dialect has `NaN`, `Inf`, `Infinity` (also negative), a leading byte order mark, and invalid UTF-8 in
strings, which is passed through as surrogates (`str.encode("utf-8", "surrogateescape")` gives the bytes back).
Integers outside of int64 and uint64 are read as doubles. One rule of Triton is not kept: where an object has a
key twice the last value counts, not the first, because no parser here can tell.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
import rapidjson

from tritonpy.backends.errors import InternalError
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.server.http.json_access import MAX_UNSIGNED, MIN_SIGNED, Json
from tritonpy.server.http.limits import json_too_deep

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_EXACT = rapidjson.NM_NAN
_NATIVE = rapidjson.NM_NAN | rapidjson.NM_NATIVE
_PARSE_ERROR = re.compile(r"Parse error at offset (\d+): (.*)", re.DOTALL)

# RapidJSON takes no lone surrogates, so bytes that are no UTF-8 travel through it as characters of a private plane.
_FIRST_SURROGATE, _FIRST_PRIVATE = 0xDC80, 0x10FF00
_HIDE = {_FIRST_SURROGATE + index: chr(_FIRST_PRIVATE + index) for index in range(128)}
_RESTORE = {_FIRST_PRIVATE + index: chr(_FIRST_SURROGATE + index) for index in range(128)}
_HIDDEN = re.compile(f"[{chr(_FIRST_PRIVATE)}-{chr(_FIRST_PRIVATE + 127)}]")
_HIDDEN_SIZE_BYTES = 4


def read_json(data: Buffer) -> Json:
    """The value of a JSON document.

    Raises InternalError with the reason and the byte offset if it is none (the protocol makes that a status 500),
    InvalidArgumentError if it is nested too deeply to be read.
    """
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _read_dialect(bytes(data))
    return value


def _read_dialect(data: bytes) -> Json:
    start = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) else 0
    text, hidden = _text(data[start:])
    try:
        rapidjson.loads(text, number_mode=_NATIVE)  # refuses what Triton refuses, but rounds doubles carelessly
        value: Json = _normal(rapidjson.loads(text, number_mode=_EXACT), hidden)
    except RecursionError:
        raise json_too_deep() from None
    except rapidjson.JSONDecodeError as error:
        raise _parse_error(str(error), start, text if hidden else "") from None
    return value


def _text(data: bytes) -> tuple[str, bool]:
    """The text of `data`, and whether bytes are hidden in it."""
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape").translate(_HIDE), True


def _parse_error(message: str, start: int, hidden_text: str) -> InternalError:
    """RapidJSON's error in Triton's words, its offset corrected for what was cut off in front and for hidden bytes."""
    match = _PARSE_ERROR.fullmatch(message)
    if match is None:
        return InternalError(f"failed to parse the request JSON buffer: {message}")
    offset = int(match[1])
    before = hidden_text.encode()[:offset].decode(errors="ignore")
    offset += start - len(_HIDDEN.findall(before)) * (_HIDDEN_SIZE_BYTES - 1)
    return InternalError(f"failed to parse the request JSON buffer: {match[2]} at {offset}")


def _normal(value: Any, hidden: bool) -> Any:
    """`value` with hidden bytes as surrogates again, and integers that fit no 64 bits as doubles.

    Raises RecursionError if it is nested too deeply.
    """
    if isinstance(value, str):
        return value.translate(_RESTORE) if hidden else value
    if type(value) is int:
        return value if MIN_SIGNED <= value <= MAX_UNSIGNED else float(value)
    if isinstance(value, list):
        return value if set(map(type, value)) == {float} else [_normal(element, hidden) for element in value]
    if isinstance(value, dict):
        return {_normal(key, hidden): _normal(element, hidden) for key, element in value.items()}
    return value

"""Writes JSON as Triton does: compact, strings byte by byte, floats in one fixed format.

Strings escape only the quote, the backslash and bytes below 0x20; everything else goes out as it is, valid UTF-8 or
not. Floats have the shortest digits that give the same double, always with a fraction or an exponent: positional
for 1e-6 <= |x| < 1e21, else `1e21`, `9.99e-9`. NaN and the infinities are literals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import orjson

from tritonpy.backends.tensor import Array
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.server.http.limits import INLINE_JSON_ELEMENTS
from tritonpy.server.http.threads import let_others_run

_SHORT_ESCAPES = {
    b'"': b'\\"',
    b"\\": b"\\\\",
    b"\b": b"\\b",
    b"\f": b"\\f",
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
}
_ESCAPES = {bytes([code]): b"\\u%04X" % code for code in range(0x20)} | _SHORT_ESCAPES
_ESCAPED = re.compile(rb'["\\\x00-\x1f]')

# orjson writes another format for magnitudes in between and above (and null for what is not finite).
_SMALL, _MEDIUM, _LARGE = 1e-6, 1e-5, 1e15
_LITERALS = {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}
_POSITIONAL_EXPONENTS = range(-6, 21)


def string(text: str | Buffer) -> bytes:
    """A JSON string; surrogates of a text give back the bytes that they stand for."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)
    if _ESCAPED.search(raw):
        raw = _ESCAPED.sub(lambda match: _ESCAPES[match[0]], raw)
    return b'"%b"' % raw


def floating(number: float) -> bytes:
    """A JSON number with a fraction or an exponent, or one of the literals NaN, Infinity, -Infinity."""
    mantissa, marker, exponent = repr(number).partition("e")
    if not marker:  # Python's form without exponent is the same, but for the literals
        return _LITERALS.get(mantissa) or mantissa.encode()
    sign = "-" if number < 0 else ""
    digits = mantissa.lstrip("-").replace(".", "")
    return f"{sign}{_format(digits, int(exponent))}".encode()


def _format(digits: str, exponent: int) -> str:
    """The number d.ddd * 10^exponent for the significant `digits` dddd."""
    if exponent not in _POSITIONAL_EXPONENTS:
        return f"{digits[0]}.{digits[1:]}e{exponent}".replace(".e", "e")
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    return digits[: exponent + 1].ljust(exponent + 1, "0") + "." + (digits[exponent + 1 :] or "0")


def number_list(array: Array) -> Iterator[bytes]:
    """A flat JSON array of the elements of a bool, integer or float32/64 array of any shape, in pieces.

    A large one (see `limits`) is written in steps: run through it on a thread.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    return _list(flat.size, lambda start, end: _numbers(flat[start:end])[1:-1])


def string_list(elements: Sequence[Buffer]) -> Iterator[bytes]:
    """A JSON array of strings, as `number_list`."""
    return _list(len(elements), lambda start, end: _strings(elements[start:end]))


def _list(count: int, write: Callable[[int, int], bytes]) -> Iterator[bytes]:
    yield b"["
    for start in range(0, count, INLINE_JSON_ELEMENTS):
        if start:
            let_others_run()
            yield b","
        yield write(start, start + INLINE_JSON_ELEMENTS)
    yield b"]"


def _numbers(flat: Array) -> bytes:
    if flat.dtype.kind == "f":
        return _float_list(flat.astype(np.float64, copy=False))
    return orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)


def _float_list(numbers: Array) -> bytes:
    text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    magnitudes = np.abs(numbers)
    same = (magnitudes < _SMALL) | (magnitudes >= _MEDIUM) & (magnitudes < _LARGE)
    if same.all():
        return text
    parts = text[1:-1].split(b",")
    different = np.flatnonzero(~same)
    for index, number in zip(different.tolist(), numbers[different].tolist(), strict=True):
        parts[index] = floating(number)
    return b"[" + b",".join(parts) + b"]"


def _strings(elements: Sequence[Buffer]) -> bytes:
    if _ESCAPED.search(b"".join(elements)):
        return b",".join(map(string, elements))
    return b'"%b"' % b'","'.join(elements)


def value(document: object) -> bytes:
    """The JSON text of a document of dicts (keys in their order), lists, tuples, strings and numbers."""
    if isinstance(document, str):
        return string(document)
    if document is None or isinstance(document, (bool, int)):
        return b"null" if document is None else str(document).lower().encode()
    if isinstance(document, float):
        return floating(document)
    if isinstance(document, dict):
        return b"{" + b",".join(string(key) + b":" + value(item) for key, item in document.items()) + b"}"
    if isinstance(document, (list, tuple)):
        return b"[" + b",".join(map(value, document)) + b"]"
    raise TypeError(f"no JSON form for {type(document).__name__}")

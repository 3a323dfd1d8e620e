"""Reads large JSON documents in steps, so that other threads get their turn.

A call of a JSON parser holds the interpreter lock from start to end, on a thread just as on the event loop. So the
numbers of large `data` arrays are cut out of the text and parsed piece by piece, with a pause after each; what is
left of the document is small and parsed as usual. Strings are not cut: a document of millions of them still holds
the lock while it is parsed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import orjson

from tritonpy.backends.errors import TritonpyError
from tritonpy.backends.tensor import Array
from tritonpy.server.http.json_access import Json, Numbers
from tritonpy.server.http.json_reading import read_json
from tritonpy.server.http.json_tensor import flatten, number_array
from tritonpy.server.http.limits import INLINE_JSON_BYTES, MAX_JSON_DEPTH
from tritonpy.server.http.threads import let_others_run

PIECE_BYTES = 64 * 1024
_WINDOW_BYTES = 1024 * 1024
_KEY = b'"data"'
_OPENING = re.compile(rb'"data"\s*:\s*(?=\[)')
_ENDS = (b'"', b"{", b"}")
_SPACE = b" \t\r\n"


class _NotCut(Exception):
    """The text is not what it seemed: it has to be read as a whole."""


def read_large_json(data: bytes, size_bytes: int) -> Json:
    """As `read_json` of the first `size_bytes`, with the `data` of inputs that are large arrays of numbers (or
    booleans) as Numbers."""
    try:
        return _read_in_pieces(data, size_bytes)
    except (_NotCut, orjson.JSONDecodeError, TritonpyError):
        return read_json(memoryview(data)[:size_bytes])  # whatever is wrong, this is what says it properly


def _read_in_pieces(data: bytes, size_bytes: int) -> Json:
    mark = secrets.token_hex(16)
    found: dict[str, Numbers] = {}
    rest: list[bytes] = []
    position = 0
    for start, end in _large_arrays(data, size_bytes):
        name = f"{mark}:{len(found)}"
        found[name] = Numbers(list(_pieces(data, start, end)))
        rest += [data[position:start], b'"%b"' % name.encode()]
        position = end
    document: Json = orjson.loads(b"".join([*rest, data[position:size_bytes]]))
    _put_back(document, found)
    return document


def _put_back(document: Json, found: dict[str, Numbers]) -> None:
    """Put the arrays in the places of their names; raises _NotCut if one of them is not the data of an input."""
    entries = document.get("inputs") if isinstance(document, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("data") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(name, str) and name in found:
            entry["data"] = found.pop(name)
    if found:
        raise _NotCut


def _large_arrays(data: bytes, size_bytes: int) -> Iterator[tuple[int, int]]:
    """Where `data` members with large arrays of anything but strings and objects begin and end."""
    position = 0
    while (key := _find_key(data, position, size_bytes)) >= 0:
        opening = _OPENING.match(data, key)
        position = key + len(_KEY)
        if opening is None or data[key - 1 : key] == b"\\":  # the end of a longer string
            continue
        start = opening.end()
        end = data.rfind(b"]", start, _end_of_numbers(data, start, size_bytes)) + 1
        if end - start > INLINE_JSON_BYTES:
            yield start, end
            position = end


def _find_key(data: bytes, start: int, stop: int) -> int:
    for window in range(start, stop, _WINDOW_BYTES):
        found = data.find(_KEY, window, min(window + _WINDOW_BYTES + len(_KEY), stop))
        if found >= 0:
            return found
        let_others_run()
    return -1


def _end_of_numbers(data: bytes, start: int, stop: int) -> int:
    for window in range(start, stop, _WINDOW_BYTES):
        ends = [data.find(end, window, min(window + _WINDOW_BYTES, stop)) for end in _ENDS]
        if max(ends) >= 0:
            return min(end for end in ends if end >= 0)
        let_others_run()
    return stop


def _pieces(data: bytes, start: int, end: int) -> Iterator[Array]:
    """The elements of the (nested) array in data[start:end], flat, cut at commas of any depth.

    A piece is completed with the brackets that are open where it begins and ends. It has to begin and end with an
    element: otherwise `[1,]` could be cut into `[1]` and `[]`.
    """
    depth = 0
    position = start
    while position < end:
        cut = data.find(b",", position + PIECE_BYTES, end)
        cut = end if cut < 0 else cut
        text = data[position:cut].strip(_SPACE)
        if (position > start and text[:1] == b"]") or (cut < end and text[-1:] == b"["):
            raise _NotCut
        opened = depth
        depth += text.count(b"[") - text.count(b"]")
        if not (0 < depth <= MAX_JSON_DEPTH if cut < end else depth == 0):
            raise _NotCut
        array = number_array(flatten(orjson.loads(b"[" * opened + text + b"]" * depth)))
        if array is None:
            raise _NotCut
        yield array
        let_others_run()
        position = cut + 1

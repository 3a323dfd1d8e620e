"""The JSON that goes out, byte by byte (cases seen on the real server)."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from tritonpy.server.http import json_writing


def number_text(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    return b"".join(json_writing.number_list(array))


def string_text(elements: list[bytes]) -> bytes:
    return b"".join(json_writing.string_list(elements))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", b'"plain"'),
        ('"\\/', b'"\\"\\\\/"'),
        ("\b\f\n\r\t", b'"\\b\\f\\n\\r\\t"'),
        ("\x00\x1f\x0b\x7f", b'"\\u0000\\u001F\\u000B\x7f"'),
        ("é€", b'"\xc3\xa9\xe2\x82\xac"'),
        ("\udcff", b'"\xff"'),
        (b"\xff\x00", b'"\xff\\u0000"'),
        (memoryview(b"ab"), b'"ab"'),
    ],
)
def test_strings(text: str | bytes | memoryview, expected: bytes) -> None:
    assert json_writing.string(text) == expected


def test_fp64_as_on_the_real_server() -> None:
    numbers = np.array([1e-5, 1e-6, 1e-7, 1e5, 1e20, 1e21, -0.0, 1 / 3, 1e16])
    assert number_text(numbers) == (
        b"[0.00001,0.000001,1e-7,100000.0,100000000000000000000.0,1e21,-0.0,0.3333333333333333,10000000000000000.0]"
    )


def test_fp32_as_on_the_real_server() -> None:
    numbers = np.array([0.1, 1e-8, 123456789, np.inf, -np.inf, np.nan], dtype=np.float32)
    assert number_text(numbers) == (b"[0.10000000149011612,9.99999993922529e-9,123456792.0,Infinity,-Infinity,NaN]")


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([True, False]), b"[true,false]"),
        (np.array([2**64 - 1], dtype=np.uint64), b"[18446744073709551615]"),
        (np.array([-(2**63)], dtype=np.int64), b"[-9223372036854775808]"),
        (np.array([[1, 2], [3, 4]], dtype=np.int8), b"[1,2,3,4]"),
        (np.array([[1, 2], [3, 4]], dtype=np.int32).T, b"[1,3,2,4]"),
        (np.array([], dtype=np.float32), b"[]"),
    ],
)
def test_other_arrays(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], expected: bytes) -> None:
    assert number_text(array) == expected


NUMBER = re.compile(r"-?(\d+\.\d+|\d(\.\d+)?e-?[1-9]\d*)")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_value_and_the_format(number: float) -> None:
    text = json_writing.floating(number).decode()
    assert NUMBER.fullmatch(text)
    assert float(text) == number
    assert math.copysign(1, float(text)) == math.copysign(1, number)
    assert ("e" not in text) == (number == 0 or 1e-6 <= abs(number) < 1e21)


@given(st_numpy.arrays(np.float64, st.integers(0, 8), elements=st.floats()))
def test_lists_are_written_element_by_element(numbers: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    expected = b",".join(json_writing.floating(float(number)) for number in numbers)
    assert number_text(numbers) == b"[" + expected + b"]"


def test_long_lists_are_written_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[None] = []
    monkeypatch.setattr(json_writing, "INLINE_JSON_ELEMENTS", 3)
    monkeypatch.setattr(json_writing, "let_others_run", lambda: pauses.append(None))
    assert number_text(np.arange(7)) == b"[0,1,2,3,4,5,6]"
    assert string_text([b"a", b"b", b"c", b"d"]) == b'["a","b","c","d"]'
    assert len(pauses) == 3


def test_documents() -> None:
    document = {"a": [1, 2.0, True, None, ("x",)], "b": {}, "c": 2**64 - 1}
    assert json_writing.value(document) == b'{"a":[1,2.0,true,null,["x"]],"b":{},"c":18446744073709551615}'
    with pytest.raises(TypeError, match="no JSON form for set"):
        json_writing.value({"a": set()})


@given(st.lists(st.binary()))
def test_string_lists_keep_every_byte(elements: list[bytes]) -> None:
    text = string_text(elements).decode("utf-8", "surrogateescape")
    assert [item.encode("utf-8", "surrogateescape") for item in json.loads(text)] == elements

"""Triton's dialect of JSON, and the texts of its errors (cases seen on the real server)."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError
from tritonpy.server.http.json_reading import read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":[1,-2.5,"x",true,null]}', {"a": [1, -2.5, "x", True, None]}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b"[Infinity,-Infinity,Inf,-Inf]", [math.inf, -math.inf, math.inf, -math.inf]),
        (b"18446744073709551615", 2**64 - 1),
        (b"[18446744073709551616]", [2.0**64]),
        (b"[1.1068644703999523e+36,Infinity]", [1.1068644703999523e36, math.inf]),
        (b"[18446744073709551616,NaN]", [2.0**64, pytest.approx(math.nan, nan_ok=True)]),
        (b"[-9223372036854775809]", [-(2.0**63)]),
        (b'"\\ud83d\\ude00\\u0000"', "\U0001f600\x00"),
        (b" [] \n", []),
    ],
)
def test_accepts(text: bytes, value: object) -> None:
    assert read_json(text) == value


def test_passes_bytes_that_are_no_utf8_through() -> None:
    value = read_json(b'{"\xff":["a\xff\xfe\xc3\xa9\\u00e9"]}')
    assert value == {"\udcff": ["a\udcff\udcfe\xe9\xe9"]}


def test_characters_that_stand_for_hidden_bytes_stay_themselves() -> None:
    assert read_json('["\U0010ff00",Infinity]'.encode()) == ["\U0010ff00", math.inf]


def test_reads_a_memoryview() -> None:
    assert read_json(memoryview(b'{"a":Infinity}xyz')[:14]) == {"a": math.inf}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "The document is empty. at 0"),
        (b"\n\n", "The document is empty. at 2"),
        (b"{", "Missing a name for object member. at 1"),
        (b"{a:1}", "Missing a name for object member. at 1"),
        (b'{"a":1,}', "Missing a name for object member. at 7"),
        (b'{"a":1 "b"}', "Missing a comma or '}' after an object member. at 7"),
        (b"[1 2]", "Missing a comma or ']' after an array element. at 3"),
        (b'{"a":1} x', "The document root must not be followed by other values. at 8"),
        (b"nul", "Invalid value. at 3"),
        (b"/*c*/1", "Invalid value. at 0"),
        (b"'a'", "Invalid value. at 0"),
        (b'"abc', "Missing a closing quotation mark in string. at 4"),
        (b"[1," + b"9" * 5000 + b"]", "Number too big to be stored in double. at 3"),
        (b"1e400", "Number too big to be stored in double. at 0"),
        (b'["\xff\xff",]', "Invalid value. at 6"),
        (b"\xef\xbb\xbf[1,]", "Invalid value. at 6"),
    ],
)
def test_refuses_with_reason_and_offset(text: bytes, reason: str) -> None:
    with pytest.raises(InternalError) as caught:
        read_json(text)
    assert caught.value.message == f"failed to parse the request JSON buffer: {reason}"


@pytest.mark.parametrize("inner", [b"", b"1", b'"\xff"'])
def test_refuses_extreme_nesting(inner: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match=r"JSON nesting depth exceeds maximum allowed limit \(100\)"):
        read_json(b"[" * 100_000 + inner + b"]" * 100_000)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_reads_what_python_writes(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary() | st.text(alphabet='[]{}",:0123456789.-+eE\\untrfalseNI \x00').map(str.encode))
def test_any_bytes_give_a_value_or_a_known_error(data: bytes) -> None:
    with contextlib.suppress(TritonpyError):
        read_json(data)

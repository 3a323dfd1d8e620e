"""Reading in pieces gives what reading as a whole gives, errors included."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonpy.backends.errors import InternalError, TritonpyError
from tritonpy.protos import datatypes
from tritonpy.server.http import large_json, threads
from tritonpy.server.http.json_access import Numbers
from tritonpy.server.http.json_reading import read_json
from tritonpy.server.http.json_tensor import flatten, tensor_from_json
from tritonpy.server.http.large_json import read_large_json


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "PIECE_BYTES", 3)
    monkeypatch.setattr(large_json, "INLINE_JSON_BYTES", 8)
    monkeypatch.setattr(threads, "_PAUSE_S", 0)


def plain(value: Any) -> Any:
    """A document with every array of numbers flat, as lists again."""
    if isinstance(value, Numbers):
        return [element for array in value.arrays for element in array.tolist()]
    if isinstance(value, dict):
        return {
            key: flatten(item) if key == "data" and isinstance(item, list) else plain(item)
            for key, item in value.items()
        }
    return [plain(item) for item in value] if isinstance(value, list) else value


def outcome(read: Any, *arguments: Any) -> Any:
    """The document that was read, or the message of the error."""
    try:
        return plain(read(*arguments))
    except TritonpyError as error:
        return error.message


def check_same(text: bytes) -> None:
    assert repr(outcome(read_large_json, text, len(text))) == repr(outcome(read_json, text))


def test_large_arrays_are_cut_out() -> None:
    text = b'{"inputs":[{"name":"a","data":[1,2,3,4,5,6,7]},{"name":"b","data":[1]},{"data" : [[1.5,2],[3,4.25]]}]}'
    document: Any = read_large_json(text, len(text))
    first, second, third = (entry["data"] for entry in document["inputs"])
    assert isinstance(first, Numbers)
    assert np.concatenate(first.arrays).tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert len(first.arrays) > 1
    assert second == [1]
    assert np.concatenate(third.arrays).tolist() == [1.5, 2, 3, 4.25]
    assert document["inputs"][0]["name"] == "a"


def test_only_the_json_part_is_read() -> None:
    text = b'{"inputs":[{"data":[1,2,3,4,5,6,7]}]}'
    assert outcome(read_large_json, text + b'"data":[1,2', len(text)) == outcome(read_json, text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"inputs":[{"data":[1,2,3,4,5,6,]}]}',
        b'{"inputs":[{"data":[1,2,3,4,[,5,6]]}]}',
        b'{"inputs":[{"data":[1,2,3,4,,5,6]}]}',
        b'{"inputs":[{"data":[1,2,3,4]],[5,6]}]}',
        b'{"inputs":[{"data":[1,2,3],[4,5,6]}]}',
        b'{"inputs":[{"data":[1,2,3,4,5[,6]]}]}',
        b'{"inputs":[{"data":[1,2,3,4,5,6}]}',
        b'{"inputs":[{"data":[1,2,3,4,NaN,6]}]}',
        b'{"inputs":[{"data":[1,2,3,4,null,6]}]}',
        b'{"inputs":[{"data":[1,2,3,4,true,6]}]}',
        b'{"inputs":[{"data":[true,false,true]}]}',
        b'{"inputs":[{"data":["a,b,c,d,e,f","g"]}]}',
        b'{"inputs":[{"data":[1,2,3,4,{},6,7,8]}]}',
        b'{"inputs":[{"data":[1,2,3,4,5,6],"data":[1,2,3,4,5,7]}]}',
        b'{"data":[1,2,3,4,5,6,7],"inputs":[]}',
        b'{"id":"\\"data\\":[1,2,3,4,5,6]","inputs":[{"data":[1,2,3,4,5,6]}]}',
        b'{"id":"x\\"data":[1,2,3,4,5,6,7]}',
        b'{"inputs":[{"data":[[[],[]],[[]],[],[[]]]}]}',
        b'{"inputs":[{"data":[18446744073709551615,1,-1,2]}]}',
        b"[1,2,3,4,5,6,7,8,9]",
        b"{",
        b"",
    ],
)
def test_texts_that_are_special(text: bytes) -> None:
    check_same(text)


@pytest.mark.parametrize("depth", [99, 100, 101, 3000])
def test_deep_arrays(depth: int) -> None:
    check_same(b'{"inputs":[{"data":' + b"[" * depth + b"1,2,3,4" + b"]" * depth + b"}]}")


NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
NESTED = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=5), max_leaves=30)
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from([b"", *(bytes([c]) for c in b'[],0.- "')])), max_size=2
)


@settings(max_examples=400)
@given(st.lists(NESTED, max_size=6), MUTATIONS, st.sampled_from([(",", ":"), (", ", ": ")]))
def test_any_array_and_any_damage_to_it(
    data: Any, mutations: list[tuple[int, bytes]], separators: tuple[str, str]
) -> None:
    text = json.dumps({"inputs": [{"name": "x", "data": data}]}, separators=separators).encode()
    for position, replacement in mutations:
        text = text[:position] + replacement + text[position + 1 :]
    large = outcome(read_large_json, text, len(text))
    whole = outcome(read_json, text)
    # A piece of integers and fractions is all doubles: equal, but not of the same type.
    assert large == whole


@pytest.mark.parametrize(
    ("datatype", "data", "expected"),
    [
        (datatypes.INT8, b"[1,2,300,-4]", [1, 2, 44, -4]),
        (datatypes.UINT64, b"[1,2,18446744073709551615,4]", [1, 2, 2**64 - 1, 4]),
        (datatypes.FP32, b"[1,2.5,1e3,4]", [1, 2.5, 1000, 4]),
        (datatypes.FP64, b"[1,2,[3,[]],18446744073709551615]", [1, 2, 3, 2.0**64]),
        (datatypes.BOOL, b"[true,false,true,true]", [True, False, True, True]),
    ],
)
def test_tensors_from_pieces(datatype: datatypes.Datatype, data: bytes, expected: list[object]) -> None:
    text = b'{"inputs":[{"data":%b}]}' % data
    document: Any = read_large_json(text, len(text))
    numbers = document["inputs"][0]["data"]
    assert isinstance(numbers, Numbers)
    tensor = tensor_from_json("X", datatype, (2, 2), numbers, 100)
    assert (tensor.array.dtype, tensor.array.ravel().tolist()) == (datatype.numpy_dtype, expected)


@pytest.mark.parametrize(
    ("datatype", "data", "message"),
    [
        (datatypes.INT8, [[1, 2, 3, 4.5]], "attempt to access JSON non-signed-integer as signed-integer"),
        (datatypes.UINT8, [[1, 2], [3, -4]], "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        (datatypes.FP32, [[True, False, True, True]], "attempt to access JSON non-number as double"),
        (datatypes.BOOL, [[1, 2, 3, 4]], "attempt to access JSON non-boolean as boolean"),
        (datatypes.FP32, [[1, 2], [3]], "Shape does not match true shape of 'data' field"),
        (datatypes.FP32, [], "Shape does not match true shape of 'data' field"),
    ],
)
def test_pieces_that_do_not_fit(datatype: datatypes.Datatype, data: list[list[float]], message: str) -> None:
    numbers = Numbers([np.array(piece) for piece in data])
    with pytest.raises(InternalError) as caught:
        tensor_from_json("X", datatype, (4,), numbers, 100)
    assert caught.value.message == f"Unable to parse 'data': {message}"


def test_numbers_are_no_strings() -> None:
    with pytest.raises(InternalError, match="^Unable to parse JSON bytes array: attempt to access JSON non-string"):
        tensor_from_json("X", datatypes.BYTES, (1,), Numbers([np.array([1])]), 100)

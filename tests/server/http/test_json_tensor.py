"""JSON data to tensors: flattening, narrowing, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.protos import datatypes
from tritonpy.protos.datatypes import Datatype
from tritonpy.server.http.json_access import Json
from tritonpy.server.http.json_tensor import element_count, flatten, tensor_from_json

LIMIT_BYTES = 1000
SHAPE_ERROR = "Unable to parse 'data': Shape does not match true shape of 'data' field"


def values(datatype: Datatype, data: list[Json], shape: tuple[int, ...]) -> list[object]:
    tensor = tensor_from_json("X", datatype, shape, data, LIMIT_BYTES)
    assert tensor.shape == shape
    assert tensor.array.dtype == datatype.numpy_dtype
    result: list[object] = tensor.array.tolist()
    return result


@pytest.mark.parametrize(
    ("datatype", "data", "expected"),
    [
        (datatypes.BOOL, [True, False], [True, False]),
        (datatypes.UINT8, [255, 256], [255, 0]),
        (datatypes.UINT16, [65535, 65537], [65535, 1]),
        (datatypes.UINT32, [2**32 - 1, 2**32], [2**32 - 1, 0]),
        (datatypes.UINT64, [0, 2**64 - 1], [0, 2**64 - 1]),
        (datatypes.UINT32, [2**64 - 1, 1], [2**32 - 1, 1]),
        (datatypes.INT8, [200, -129], [-56, 127]),
        (datatypes.INT16, [32768, -1], [-32768, -1]),
        (datatypes.INT32, [2**31, -5], [-(2**31), -5]),
        (datatypes.INT64, [-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
        (datatypes.FP32, [1, 0.5], [1.0, 0.5]),
        (datatypes.FP32, [1e40, -1e40], [math.inf, -math.inf]),
        (datatypes.FP64, [2**64 - 1, 1e300], [2.0**64, 1e300]),
        (datatypes.FP64, [math.inf, -0.0], [math.inf, -0.0]),
        (datatypes.BYTES, ["é", "a\udcff"], [b"\xc3\xa9", b"a\xff"]),
    ],
)
def test_elements(datatype: Datatype, data: list[Json], expected: list[object]) -> None:
    assert values(datatype, data, (2,)) == expected


def test_nesting_is_flattened_row_major() -> None:
    assert values(datatypes.INT32, [[1, 2], [3], 4, [[[5]], 6]], (2, 3)) == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("datatype", "data", "phrase"),
    [
        (datatypes.BOOL, [True, 1], "non-boolean as boolean"),
        (datatypes.UINT8, [1, -1], "non-unsigned-integer as unsigned-integer"),
        (datatypes.UINT64, [2**64 - 1, -1], "non-unsigned-integer as unsigned-integer"),
        (datatypes.UINT64, [1, 2.0**64], "non-unsigned-integer as unsigned-integer"),
        (datatypes.INT64, [1, 2**63], "non-signed-integer as signed-integer"),
        (datatypes.INT32, [1.0, 2], "non-signed-integer as signed-integer"),
        (datatypes.INT32, [1, True], "non-signed-integer as signed-integer"),
        (datatypes.FP32, [1, "2"], "non-number as double"),
        (datatypes.FP32, [True, 2], "non-number as double"),
        (datatypes.FP64, [None, 2], "non-number as double"),
        (datatypes.FP64, [{}, 2, 3], "non-number as double"),
    ],
)
def test_elements_of_another_type(datatype: Datatype, data: list[Json], phrase: str) -> None:
    with pytest.raises(InternalError) as caught:
        values(datatype, data, (2,))
    assert caught.value.message == f"Unable to parse 'data': attempt to access JSON {phrase}"


@pytest.mark.parametrize("data", [[1], [1, 2, 3], [], [1, 2, "a"], [[], []]])
def test_another_number_of_elements(data: list[Json]) -> None:
    with pytest.raises(InternalError) as caught:
        values(datatypes.FP32, data, (2,))
    assert caught.value.message == SHAPE_ERROR


def test_strings_that_are_none() -> None:
    message = "^Unable to parse JSON bytes array: attempt to access JSON non-string as string$"
    with pytest.raises(InternalError, match=message):
        values(datatypes.BYTES, ["a", 1], (2,))


@pytest.mark.parametrize("datatype", [datatypes.FP16, datatypes.BF16])
def test_half_precision_needs_binary_data(datatype: Datatype) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        values(datatype, [1], (1,))
    assert caught.value.message == (
        f"receiving {datatype.wire_name} data via JSON is not supported. Please use the binary data format for input X"
    )


def nested(depth: int) -> list[Json]:
    data: list[Json] = [1]
    for _ in range(depth - 1):
        data = [data]
    return data


def test_nesting_has_a_limit() -> None:
    assert flatten(nested(100)) == [1]
    with pytest.raises(InvalidArgumentError, match=r"^JSON nesting depth exceeds maximum allowed limit \(100\)$"):
        flatten(nested(101))


def test_data_over_the_limit_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        values(datatypes.FP64, [1], (126,))
    assert caught.value.message == (
        "JSON input 'X' has a byte_size (1008 bytes) that exceeds the maximum allowed value of 1000 bytes. "
        "Use --http-max-input-size to increase the limit."
    )


def test_element_counts() -> None:
    assert element_count("X", (2, 3)) == 6
    assert element_count("X", (2, 0)) == 0
    assert element_count("X", ()) == 0


def test_element_counts_beyond_64_bits() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        element_count("X", (2**62, 2))
    assert caught.value.message == (
        "invalid shape for input 'X': shape [4611686018427387904,2] causes total element count to exceed maximum size "
        "of 9223372036854775807"
    )
    with pytest.raises(InvalidArgumentError, match=r"^byte size overflow for input 'X': element count \(4611686018"):
        values(datatypes.FP64, [1], (2**62,))


@given(st.lists(st.floats(width=32), min_size=1))
def test_fp32_round_trip(numbers: list[float]) -> None:
    tensor = tensor_from_json("X", datatypes.FP32, (len(numbers),), list(numbers), 2**20)
    np.testing.assert_array_equal(tensor.array, np.array(numbers, dtype=np.float32))


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.sampled_from([datatypes.INT8, datatypes.INT32, datatypes.INT64]),
)
def test_integers_are_narrowed_modulo(numbers: list[int], datatype: Datatype) -> None:
    tensor = tensor_from_json("X", datatype, (len(numbers),), list(numbers), 2**20)
    bits = datatype.size_bytes * 8
    assert [number % 2**bits for number in tensor.array.tolist()] == [number % 2**bits for number in numbers]

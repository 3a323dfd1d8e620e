"""BF16 against an implementation of others."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonpy.protos import bfloat16

FLOATS = st.lists(st.floats(width=32), min_size=1, max_size=50)


@given(FLOATS)
def test_rounding_is_that_of_ml_dtypes(values: list[float]) -> None:
    array = np.array(values, dtype=np.float32)
    expected = array.astype(ml_dtypes.bfloat16)
    ours = bfloat16.to_float32(bfloat16.from_float32(array))
    assert np.array_equal(ours, expected.astype(np.float32), equal_nan=True)


# The 16 bits that rounding takes away: nothing, halves (ties), and their neighbours.
LOWER_HALVES = st.sampled_from([0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFF])


@given(st.lists(st.tuples(st.integers(0, 2**16 - 1), LOWER_HALVES), min_size=1, max_size=50))
def test_ties_subnormals_and_overflow_round_as_in_ml_dtypes(halves: list[tuple[int, int]]) -> None:
    patterns = np.array([upper << 16 | lower for upper, lower in halves], dtype=np.uint32)
    array = patterns.view(np.float32)
    with np.errstate(invalid="ignore"):  # signalling NaNs are among them
        expected = array.astype(ml_dtypes.bfloat16)
    bits = bfloat16.from_float32(array)
    numbers = ~np.isnan(array)
    assert np.array_equal(bits[numbers], expected.view(np.uint16)[numbers])
    assert np.isnan(bits[~numbers].view(ml_dtypes.bfloat16)).all()


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (0.0, 0x0000),
        (-0.0, 0x8000),
        (1.0, 0x3F80),
        (1 + 2**-8, 0x3F80),  # a tie goes to the even neighbour, here below
        (1 + 3 * 2**-8, 0x3F82),  # and here above
        (float("inf"), 0x7F80),
        (float("-inf"), 0xFF80),
        (3.4028234663852886e38, 0x7F80),  # the largest FP32 is beyond the largest BF16
        (2.0**-133, 0x0001),  # the smallest subnormal
        (2.0**-134, 0x0000),
    ],
)
def test_known_values(value: float, bits: int) -> None:
    assert bfloat16.from_float32(np.array([value], np.float32)).tolist() == [bits]


def test_all_bit_patterns_become_floats_exactly_and_come_back() -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    floats = bfloat16.to_float32(bits)
    assert np.array_equal(floats, bits.view(ml_dtypes.bfloat16).astype(np.float32), equal_nan=True)
    numbers = ~np.isnan(floats)
    assert np.array_equal(bfloat16.from_float32(floats)[numbers], bits[numbers])
    assert np.isnan(bfloat16.to_float32(bfloat16.from_float32(floats[~numbers]))).all()


def test_shapes_stay() -> None:
    assert bfloat16.from_float32(np.zeros((2, 3), np.float32)).shape == (2, 3)
    assert bfloat16.from_float32(np.array(1.0, np.float32)).shape == ()

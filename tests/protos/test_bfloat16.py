"""BF16 against an implementation of others."""

from __future__ import annotations

import ml_dtypes
import numpy as np
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

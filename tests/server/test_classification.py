"""The classification extension."""

from __future__ import annotations

import numpy as np
import pytest

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.tensor import Tensor
from tritonpy.server.classification import classify

LABELS = ("apple", "banana", "cherry")


def test_a_batch_is_ranked_entry_by_entry_with_labels() -> None:
    array = np.array([[0.1, 0.7, 0.2, 0.9], [4, 3, 2, 1]], dtype=np.float32)
    result = classify(Tensor.from_array("O", array), 3, True, LABELS)
    assert result.shape == (2, 3)
    assert result.array.tolist() == [
        [b"0.900000:3", b"0.700000:1:banana", b"0.200000:2:cherry"],
        [b"4.000000:0:apple", b"3.000000:1:banana", b"2.000000:2:cherry"],
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.int64, np.float64])
def test_equal_values_rank_by_index(dtype: type) -> None:
    result = classify(Tensor.from_array("O", np.array([1, 2, 2, 0], dtype=dtype)), 9, False, ())
    assert [text.split(b":")[1] for text in result.array.tolist()] == [b"1", b"2", b"0", b"3"]


def test_integers_are_written_plainly_and_floats_with_six_decimals() -> None:
    assert classify(Tensor.from_array("O", np.array([9], np.int32)), 1, False, ()).array.tolist() == [b"9:0"]
    assert classify(Tensor.from_array("O", np.array([1e20])), 1, False, ()).array.tolist() == [
        b"100000000000000000000.000000:0"
    ]


def test_nothing_to_rank() -> None:
    assert classify(Tensor.from_array("O", np.zeros((2, 0), np.float32)), 3, True, ()).shape == (2, 0)


def test_what_cannot_be_ranked_is_refused() -> None:
    text = Tensor.from_array("O", np.array([b"x"], dtype=object))
    with pytest.raises(InvalidArgumentError, match="unsupported type 'BYTES'"):
        classify(text, 1, False, ())
    with pytest.raises(InvalidArgumentError, match="classification output tensor too large"):
        classify(Tensor.from_array("O", np.zeros(1_000_001, np.int8)), 1, False, ())

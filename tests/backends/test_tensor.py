"""Tensors keep their data in the form it came in, and convert on demand."""

from __future__ import annotations

import numpy as np
import pytest

from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes


def test_wire_data_becomes_an_array_without_a_copy() -> None:
    data = bytearray(np.arange(4, dtype=np.int16).tobytes())
    tensor = Tensor("T", datatypes.INT16, (2, 2), data)
    assert tensor.array.tolist() == [[0, 1], [2, 3]]
    data[0] = 9
    assert tensor.array[0, 0] == 9
    assert tensor.size_bytes == 8


def test_an_array_is_written_from_its_own_memory() -> None:
    array = np.arange(4, dtype=np.float32).reshape(2, 2)
    buffer = Tensor.from_array("T", array).buffer
    array[0, 0] = 7
    assert np.frombuffer(buffer, dtype=np.float32)[0] == 7


@pytest.mark.parametrize("shape", [(0,), (3, 0), ()])
def test_empty_and_scalar_tensors(shape: tuple[int, ...]) -> None:
    tensor = Tensor.from_array("T", np.zeros(shape, dtype=np.int64))
    assert len(tensor.buffer) == tensor.size_bytes == 8 * tensor.element_count
    assert Tensor("T", datatypes.INT64, shape, tensor.buffer).array.shape == shape


def test_another_shape_shares_the_data() -> None:
    tensor = Tensor.from_array("T", np.arange(6, dtype=np.int32))
    assert tensor.with_shape((2, 3)).array.base is not None
    assert tensor.with_shape((2, 3)).array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_array_of_no_tensor_type_is_refused() -> None:
    with pytest.raises(ValueError, match="tensor 'T': NumPy dtype 'complex128' is not a tensor datatype"):
        Tensor.from_array("T", np.zeros(1, dtype=complex))

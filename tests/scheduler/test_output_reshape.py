"""The shapes of outputs that clients get, where the configuration has `reshape`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scheduler.fakes import make_request, make_tensor
from tritonpy.backends.request import InferenceResponse
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes
from tritonpy.scheduler.served_model import output_reshaper


def reshaped(spec: TensorSpec, max_batch_size: int, tensor: Tensor) -> Tensor:
    """What clients get when the backend gives `tensor`."""
    finish = output_reshaper(ModelSignature(max_batch_size, (), (spec,)))
    assert finish is not None
    response = InferenceResponse([make_tensor("OTHER", (1, 6)), tensor])
    finish(make_request(), response)
    other, finished = response.outputs
    assert other.shape == (1, 6)
    return finished


@pytest.mark.parametrize(
    ("max_batch_size", "dims", "reshape", "backend_shape", "client_shape"),
    [
        (0, (2, 3), (6,), (6,), (2, 3)),
        (4, (2, 3), (6,), (5, 6), (5, 2, 3)),
        (4, (1,), (), (3,), (3, 1)),
        (4, (-1, 2), (2, -1), (3, 2, 7), (3, 7, 2)),
        (0, (-1, 4, -1), (2, -1, 2, -1), (2, 5, 2, 0), (5, 4, 0)),
    ],
)
def test_clients_get_the_shape_of_dims(
    max_batch_size: int,
    dims: tuple[int, ...],
    reshape: tuple[int, ...],
    backend_shape: tuple[int, ...],
    client_shape: tuple[int, ...],
) -> None:
    spec = TensorSpec("OUT", datatypes.INT32, dims, reshape)
    from_bytes = make_tensor("OUT", backend_shape)
    finished = reshaped(spec, max_batch_size, from_bytes)
    assert finished.shape == client_shape
    assert finished.buffer is from_bytes.buffer
    array = np.arange(from_bytes.element_count, dtype=np.int32).reshape(backend_shape)
    from_array = reshaped(spec, max_batch_size, Tensor.from_array("OUT", array))
    assert from_array.array.shape == client_shape
    assert np.shares_memory(from_array.array, array) or not array.size


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 6, 1)])
def test_an_output_of_another_shape_is_left_as_it_is(shape: tuple[int, ...]) -> None:
    """It must not take the other responses of its batch with it."""
    spec = TensorSpec("OUT", datatypes.INT32, (2, 3), (6,))
    tensor = Tensor.from_array("OUT", np.zeros(shape, np.int32))
    assert reshaped(spec, 4, tensor) is tensor


def test_without_reshape_nothing_is_to_be_done() -> None:
    assert output_reshaper(ModelSignature(4, (), (TensorSpec("OUT", datatypes.INT32, (1,)),))) is None

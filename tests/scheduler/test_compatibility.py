"""Which requests may share a batch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scheduler.fakes import make_request, make_tensor
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos import datatypes
from tritonpy.scheduler.compatibility import always_compatible, compatibility

VARIABLE = TensorSpec("IN", datatypes.INT32, (-1,))
FIXED = TensorSpec("FIXED", datatypes.INT32, (2,))


def signature(*inputs: TensorSpec, max_batch_size: int = 8) -> ModelSignature:
    return ModelSignature(max_batch_size, inputs, ())


def test_fixed_and_ragged_inputs_are_not_compared() -> None:
    ragged = replace(VARIABLE, allow_ragged_batch=True)
    assert compatibility(signature(FIXED, ragged)) is always_compatible


def test_shapes_of_variable_inputs_are_compared_without_the_batch_dimension() -> None:
    key = compatibility(signature(VARIABLE))
    short, short_pair, long = (make_request(size=size, shapes={"IN": (n,)}) for size, n in ((1, 2), (2, 2), (1, 3)))
    assert key(short) == key(short_pair)
    assert key(short) != key(long)


def test_without_batching_the_whole_shape_is_compared() -> None:
    key = compatibility(signature(replace(VARIABLE, dims=(-1, 1)), max_batch_size=0))
    assert key(make_request(size=1)) != key(make_request(size=2))


def test_every_variable_input_counts_and_fixed_ones_beside_them_do_not() -> None:
    key = compatibility(signature(VARIABLE, replace(VARIABLE, name="B"), FIXED))
    assert key(make_request(shapes={"IN": (2,), "B": (3,)})) != key(make_request(shapes={"IN": (2,), "B": (4,)}))
    assert key(make_request(shapes={"IN": (2,), "B": (3,)})) != key(make_request(shapes={"IN": (3,), "B": (2,)}))


def test_parameters_and_ids_do_not_matter() -> None:
    key = compatibility(signature(VARIABLE))
    other = make_request("other", priority=3, timeout_us=5)
    other.parameters, other.requested_outputs, other.correlation_id = {"a": 1}, ("OUT",), 7
    assert key(make_request()) == key(other)


def test_an_optional_input_makes_the_set_of_inputs_count() -> None:
    optional = replace(FIXED, name="OPT", optional=True)
    key = compatibility(signature(FIXED, optional))
    without, with_it = make_request(shapes={"FIXED": (2,)}), make_request(shapes={"FIXED": (2,), "OPT": (2,)})
    swapped = make_request(shapes={"OPT": (2,), "FIXED": (2,)})
    assert key(without) != key(with_it)
    assert key(with_it) == key(swapped)


def test_an_optional_input_of_variable_shape_may_be_absent_from_both() -> None:
    key = compatibility(signature(FIXED, replace(VARIABLE, optional=True)))
    assert key(make_request(shapes={"FIXED": (2,)})) == key(make_request(shapes={"FIXED": (2,)}))


@pytest.mark.parametrize(("values", "equal"), [((1, 5, 6), True), ((1, 5, 7), False), ((1, 5), False)])
def test_shape_tensors_are_compared_by_shape_and_contents(values: tuple[int, ...], equal: bool) -> None:
    spec = TensorSpec("SHAPE", datatypes.INT32, (2,), is_shape_tensor=True)
    key = compatibility(signature(spec))
    first, second = make_request(), make_request()
    first.inputs = {"SHAPE": make_tensor("SHAPE", (3,), (1, 5, 6))}
    second.inputs = {"SHAPE": make_tensor("SHAPE", (len(values),), values)}
    assert (key(first) == key(second)) is equal

"""Which requests are let in, and what the others are told: Triton's checks, in its order, in its words."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scheduler.admission_cases import (
    ADD_SUB,
    GRID,
    NOTE,
    OPTIONAL,
    RID,
    STRING_BATCHES,
    VARIABLE,
    refusal,
    request_of,
    spec,
    strings,
    tensor,
)
from tritonpy.backends.signature import ModelSignature
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes
from tritonpy.scheduler.admission import Admission

# What is let in.


def test_a_good_request_gets_its_batch_size() -> None:
    request = request_of(tensor("A", 3, 4), tensor("B", 3, 4), requested_outputs=("OUT",))
    before = dict(request.inputs)
    ADD_SUB.check(request)
    assert request.batch_size == 3
    assert request.inputs == before


def test_the_largest_batch_is_let_in() -> None:
    request = request_of(tensor("A", 8, 4), tensor("B", 8, 4))
    ADD_SUB.check(request)
    assert request.batch_size == 8


@pytest.mark.parametrize("length", [0, 1, 1000])
def test_a_variable_dimension_takes_any_size(length: int) -> None:
    VARIABLE.check(request_of(tensor("IN", 2, length)))
    GRID.check(request_of(tensor("IN", 2, length)))


def test_without_batching_the_batch_size_is_one() -> None:
    request = request_of(tensor("IN", 2, 7))
    GRID.check(request)
    assert request.batch_size == 1


def test_optional_inputs_may_be_left_out() -> None:
    OPTIONAL.check(request_of(tensor("MUST", 1)))
    OPTIONAL.check(request_of(tensor("MUST", 1), tensor("MAY", 1)))


def test_a_batching_model_whose_inputs_are_all_optional_needs_none() -> None:
    request = request_of()
    Admission("m", ModelSignature(4, (spec("MAY", 1, optional=True),), ())).check(request)
    assert request.batch_size == 1


def test_data_in_arrays_is_measured_without_conversion() -> None:
    array = np.zeros((2, 4), np.int32)
    request = request_of(Tensor.from_array("A", array), Tensor.from_array("B", array))
    ADD_SUB.check(request)
    assert request.inputs["A"].array is array


# Outputs and inputs by name.


def test_an_unknown_output() -> None:
    message = refusal(ADD_SUB, tensor("A", 1, 4), tensor("B", 1, 4), requested_outputs=("OUT", "NOPE"), id="7")
    assert message == "unexpected inference output 'NOPE' for model 'add_sub'"


def test_a_missing_input() -> None:
    assert refusal(ADD_SUB, tensor("A", 1, 4)) == (
        RID + "expected 2 inputs but got 1 inputs for model 'add_sub'. Got input(s) ['A'], but missing required "
        "input(s) ['B']. Please provide all required input(s)."
    )


def test_no_input_at_all() -> None:
    assert refusal(ADD_SUB) == (
        RID + "expected 2 inputs but got 0 inputs for model 'add_sub'. Got input(s) [], but missing required "
        "input(s) ['A','B']. Please provide all required input(s)."
    )


def test_one_input_too_many_prints_the_lone_bracket() -> None:
    assert refusal(ADD_SUB, tensor("A", 1, 4), tensor("B", 1, 4), tensor("C", 1, 4)) == (
        RID + "expected 2 inputs but got 3 inputs for model 'add_sub'. Got input(s) ['A','B','C'], but missing "
        "required input(s) ]. Please provide all required input(s)."
    )


def test_optional_inputs_give_a_range() -> None:
    assert refusal(OPTIONAL) == (
        RID + "expected number of inputs between 1 and 2 but got 0 inputs for model 'opt'. Got input(s) [], but "
        "missing required input(s) ['MUST']. Please provide all required input(s)."
    )


def test_an_optional_input_does_not_stand_for_a_required_one() -> None:
    """Where Triton only counts."""
    assert refusal(OPTIONAL, tensor("MAY", 1)) == (
        RID + "expected number of inputs between 1 and 2 but got 1 inputs for model 'opt'. Got input(s) ['MAY'], but "
        "missing required input(s) ['MUST']. Please provide all required input(s)."
    )


@pytest.mark.parametrize("admission", [ADD_SUB, GRID])
def test_an_unknown_input(admission: Admission) -> None:
    given = [tensor("A", 1, 4), tensor("FOO", 1, 4)] if admission is ADD_SUB else [tensor("FOO", 2, 1)]
    name = "add_sub" if admission is ADD_SUB else "grid"
    assert refusal(admission, *given, id="x") == f"unexpected inference input 'FOO' for model '{name}'"


def test_messages_name_the_request() -> None:
    assert refusal(ADD_SUB, id="rq1").startswith("[request id: rq1] expected 2 inputs")


# Batch size.


def test_no_shape_where_a_batch_dimension_is_needed() -> None:
    message = refusal(VARIABLE, tensor("IN"))
    assert message == RID + "input 'IN' has no shape but model requires batch dimension for 'variable'"


def test_batch_sizes_that_differ() -> None:
    message = refusal(ADD_SUB, tensor("A", 2, 4), tensor("B", 3, 4))
    assert message == RID + "input 'B' batch size does not match other inputs for 'add_sub'"


def test_a_batch_that_is_too_large() -> None:
    message = refusal(ADD_SUB, tensor("A", 9, 4), tensor("B", 9, 4))
    assert message == RID + "inference request batch-size must be <= 8 for 'add_sub'"


def test_an_empty_batch_misses_its_data() -> None:
    message = refusal(ADD_SUB, tensor("A", 0, 4), tensor("B", 0, 4))
    assert message == RID + "input byte size mismatch for input 'A' for model 'add_sub'. Expected 16, got 0"


def test_an_empty_batch_of_strings_misses_its_data() -> None:
    message = refusal(STRING_BATCHES, strings((0, 1), b""))
    assert message == RID + "expected 1 string elements for inference input 'IN' for model 'rows', got 0"


def test_an_empty_batch_is_refused_even_if_no_data_is_missing() -> None:
    message = refusal(VARIABLE, tensor("IN", 0, 0))
    assert message == RID + "inference request batch-size must be >= 1 for 'variable'"


# Types and shapes.


def test_a_wrong_datatype() -> None:
    wrong = Tensor("IN", datatypes.FP32, (1, 1), bytes(4))
    message = refusal(VARIABLE, wrong)
    assert message == RID + "inference input 'IN' data-type is 'FP32', but model 'variable' expects 'INT32'"


@pytest.mark.parametrize("shape", [(1, 5), (1,), (1, 4, 1)])
def test_a_wrong_shape_with_batching(shape: tuple[int, ...]) -> None:
    got = ",".join(map(str, shape))
    assert refusal(ADD_SUB, tensor("A", *shape), tensor("B", 1, 4)) == (
        RID + f"unexpected shape for input 'A' for model 'add_sub'. Expected [-1,4], got [{got}]. {NOTE}"
    )


def test_a_wrong_shape_without_batching_ends_after_the_blank() -> None:
    message = refusal(GRID, tensor("IN", 3, 3))
    assert message == RID + "unexpected shape for input 'IN' for model 'grid'. Expected [2,-1], got [3,3]. "


@pytest.mark.parametrize(("admission", "shape"), [(VARIABLE, (1, -1)), (GRID, (2, -1)), (ADD_SUB, (-1, 4))])
def test_a_dimension_left_open(admission: Admission, shape: tuple[int, ...]) -> None:
    names = ("A", "B") if admission is ADD_SUB else ("IN",)
    message = refusal(admission, *(tensor(name, *shape, size_bytes=4) for name in names))
    assert message.startswith(RID + f"All input dimensions should be specified for input '{names[0]}' for model '")
    assert message.endswith(f"', got [{shape[0]},{shape[1]}]")


@pytest.mark.parametrize("shape", [(1, -2), (-2, 1), (-2, -2)])
def test_a_negative_dimension_is_refused_even_if_the_product_fits(shape: tuple[int, ...]) -> None:
    message = refusal(VARIABLE, tensor("IN", *shape, size_bytes=16))
    assert message.startswith(RID + "unexpected shape for input 'IN' for model 'variable'. Expected [-1,-1], got [")


# The order of the checks: each request breaks two rules, and is told the first.


@pytest.mark.parametrize(
    ("first", "tensors", "outputs"),
    [
        ("unexpected inference output", [], ("NOPE",)),
        ("expected 2 inputs but got 3", [tensor("A", 1, 4), tensor("FOO", 1, 4), tensor("BAR", 1, 4)], ()),
        ("unexpected inference input 'FOO'", [tensor("A"), tensor("FOO", 1, 4)], ()),
        ("batch size does not match", [tensor("A", 9, 4), tensor("B", 10, 4)], ()),
        ("batch-size must be <= 8", [tensor("A", 9, 5), tensor("B", 9, 4)], ()),
        ("data-type is 'FP32'", [Tensor("A", datatypes.FP32, (1, 5), b""), tensor("B", 1, 4)], ()),
        ("unexpected shape for input 'B'", [tensor("A", 1, 4, size_bytes=1), tensor("B", 1, 5)], ()),
    ],
)
def test_the_first_broken_rule_is_told(first: str, tensors: list[Tensor], outputs: tuple[str, ...]) -> None:
    assert first in refusal(ADD_SUB, *tensors, requested_outputs=outputs)

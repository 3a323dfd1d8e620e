"""Which requests are let in, and what the others are told: Triton's checks, in its order, in its words."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import numpy as np
import pytest
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import bytes_codec, datatypes
from tritonpy.scheduler.admission import Admission, carry_over, fits
from tritonpy.scheduler.string_elements import MAX_CHECKED_ON_LOOP

RID = "[request id: <id_unknown>] "
NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try "
    "setting max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)
Inputs = dict[str, Tensor]


def spec(name: str, *dims: int, datatype: datatypes.Datatype = datatypes.INT32, optional: bool = False) -> TensorSpec:
    return TensorSpec(name, datatype, dims, optional=optional)


OUT = TensorSpec("OUT", datatypes.INT32, (4,))
ADD_SUB = Admission("add_sub", ModelSignature(8, (spec("A", 4), spec("B", 4)), (OUT,)))
VARIABLE = Admission("variable", ModelSignature(8, (spec("IN", -1),), (OUT,)))
GRID = Admission("grid", ModelSignature(0, (spec("IN", 2, -1),), (OUT,)))
OPTIONAL = Admission("opt", ModelSignature(0, (spec("MUST", 1), spec("MAY", 1, optional=True)), (OUT,)))
STRINGS = Admission("strings", ModelSignature(0, (spec("IN", -1, datatype=datatypes.BYTES),), (OUT,)))
STRING_BATCHES = Admission("rows", ModelSignature(8, (spec("IN", 1, datatype=datatypes.BYTES),), (OUT,)))


def tensor(name: str, *shape: int, size_bytes: int | None = None) -> Tensor:
    """INT32 zeros, as much as the shape needs unless said otherwise."""
    return Tensor(
        name, datatypes.INT32, shape, bytes(max(0, 4 * math.prod(shape)) if size_bytes is None else size_bytes)
    )


def strings(shape: tuple[int, ...], data: bytes) -> Tensor:
    return Tensor("IN", datatypes.BYTES, shape, data)


def request_of(*tensors: Tensor, **fields: object) -> InferenceRequest:
    request = InferenceRequest("m", {each.name: each for each in tensors})
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def refusal(admission: Admission, *tensors: Tensor, **fields: object) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        admission.check(request_of(*tensors, **fields))
    return caught.value.message


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


# Data.


@pytest.mark.parametrize("size_bytes", [0, 15, 17, 32])
def test_data_that_does_not_fit_the_shape(size_bytes: int) -> None:
    message = refusal(ADD_SUB, tensor("A", 1, 4), tensor("B", 1, 4, size_bytes=size_bytes))
    assert message == (
        RID + f"input byte size mismatch for input 'B' for model 'add_sub'. Expected 16, got {size_bytes}"
    )


THREE = bytes_codec.encode_elements(["a", "", "ccc"])


def test_strings_that_fit() -> None:
    STRINGS.check(request_of(strings((3,), THREE)))
    STRINGS.check(request_of(strings((0,), b"")))


@pytest.mark.parametrize(
    ("count", "data", "message"),
    [
        (
            2,
            THREE,
            RID + "unexpected number of string elements 3 for inference input 'IN' for model 'strings', expecting 2",
        ),
        (4, THREE, RID + "expected 4 string elements for inference input 'IN' for model 'strings', got 3"),
        (
            4,
            THREE + b"\x01\x00",
            RID + "incomplete string length indicator for inference input 'IN' for model 'strings', expecting 4 bytes "
            "but only 2 bytes available. Please make sure the string length indicator is in one buffer.",
        ),
        (
            4,
            THREE + b"\x09\x00\x00\x00ab",
            "incomplete string data for inference input 'IN', expecting string of length 9 but only 2 bytes available",
        ),
    ],
)
def test_strings_that_do_not_fit(count: int, data: bytes, message: str) -> None:
    assert refusal(STRINGS, strings((count,), data)) == message


def test_a_string_length_far_beyond_the_data() -> None:
    message = refusal(STRINGS, strings((1,), struct.pack("<I", 0xFFFFFFFF)))
    assert message.endswith("expecting string of length 4294967295 but only 0 bytes available")


def test_the_elements_of_very_large_tensors_are_not_walked_here() -> None:
    """They would hold the event loop; who decodes them refuses them."""
    STRINGS.check(request_of(strings((MAX_CHECKED_ON_LOOP + 1,), b"")))
    assert "got 0" in refusal(STRINGS, strings((MAX_CHECKED_ON_LOOP,), b""))


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


# Reshape.


def reshaping(max_batch_size: int, dims: tuple[int, ...], reshape: tuple[int, ...]) -> Admission:
    return Admission("m", ModelSignature(max_batch_size, (TensorSpec("IN", datatypes.INT32, dims, reshape),), ()))


@pytest.mark.parametrize(
    ("max_batch_size", "dims", "reshape", "client_shape", "backend_shape"),
    [
        (0, (2, 3), (6,), (2, 3), (6,)),
        (4, (2, 3), (6,), (4, 2, 3), (4, 6)),
        (4, (1,), (), (3, 1), (3,)),
        (0, (4,), (2, 2), (4,), (2, 2)),
        (4, (-1, 2, -1), (2, 1, -1, -1), (3, 7, 2, 5), (3, 2, 1, 7, 5)),
        (0, (-1,), (1, -1), (0,), (1, 0)),
    ],
)
def test_the_backend_sees_the_configured_shape(
    max_batch_size: int,
    dims: tuple[int, ...],
    reshape: tuple[int, ...],
    client_shape: tuple[int, ...],
    backend_shape: tuple[int, ...],
) -> None:
    given = tensor("IN", *client_shape)
    request = request_of(given)
    reshaping(max_batch_size, dims, reshape).check(request)
    assert request.inputs["IN"].shape == backend_shape
    assert request.inputs["IN"].buffer is given.buffer
    assert request.batch_size == (client_shape[0] if max_batch_size else 1)


def test_clients_give_the_shape_before_reshaping() -> None:
    message = refusal(reshaping(0, (2, 3), (6,)), tensor("IN", 6))
    assert message == RID + "unexpected shape for input 'IN' for model 'm'. Expected [2,3], got [6]. "


def test_an_optional_input_with_reshape_may_be_left_out() -> None:
    inputs = (spec("MUST", 1), TensorSpec("MAY", datatypes.INT32, (4,), (2, 2), optional=True))
    request = request_of(tensor("MUST", 1))
    Admission("m", ModelSignature(0, inputs, ())).check(request)
    assert list(request.inputs) == ["MUST"]


def test_variable_sizes_are_carried_over_in_order() -> None:
    assert carry_over((7, 2, 5), (-1, 2, -1), (-1, -1, 2)) == (7, 5, 2)
    assert carry_over((2, 3), (2, 3), (6,)) == (6,)


@pytest.mark.parametrize(
    ("shape", "dims", "expected"),
    [
        ((), (), True),
        ((3,), (3,), True),
        ((3,), (-1,), True),
        ((0, 2), (-1, 2), True),
        ((3,), (4,), False),
        ((3,), (3, 1), False),
        ((-1,), (-1,), False),
        ((-2,), (-1,), False),
    ],
)
def test_which_shapes_fit(shape: tuple[int, ...], dims: tuple[int, ...], expected: bool) -> None:
    assert fits(shape, dims) is expected


# Requests that are only bytes.


def raw_model(max_batch_size: int, *dims: int, datatype: datatypes.Datatype = datatypes.INT32) -> Admission:
    return Admission("raw", ModelSignature(max_batch_size, (spec("IN", *dims, datatype=datatype),), ()))


def raw_refusal(admission: Admission, body: bytes) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        admission.raw_input(body)
    return caught.value.message


@pytest.mark.parametrize(
    ("admission", "size_bytes", "shape"),
    [
        (raw_model(0, 4), 16, (4,)),
        (raw_model(8, 4), 16, (1, 4)),
        (raw_model(0, -1), 12, (3,)),
        (raw_model(8, 2, -1, 2), 48, (1, 2, 3, 2)),
        (raw_model(8, -1), 0, (1, 0)),
    ],
)
def test_the_shape_of_a_raw_request_follows_from_its_size(
    admission: Admission, size_bytes: int, shape: tuple[int, ...]
) -> None:
    raw = admission.raw_input(bytes(size_bytes))
    assert (raw.name, raw.datatype, raw.shape, raw.size_bytes) == ("IN", datatypes.INT32, shape, size_bytes)
    request = request_of(raw)
    admission.check(request)
    assert request.batch_size == 1


@pytest.mark.parametrize(
    ("admission", "size_bytes", "expected_bytes"),
    [(raw_model(0, 4), 17, 16), (raw_model(0, 4), 0, 16), (raw_model(8, -1), 7, 4), (raw_model(0, 2, -1), 12, 8)],
)
def test_left_over_or_missing_raw_bytes(admission: Admission, size_bytes: int, expected_bytes: int) -> None:
    assert raw_refusal(admission, bytes(size_bytes)) == (
        RID
        + f"input byte size mismatch for input 'raw_input' for model 'raw'. Expected {expected_bytes}, got {size_bytes}"
    )


def test_a_raw_request_needs_a_model_with_one_input() -> None:
    assert raw_refusal(ADD_SUB, bytes(16)) == (
        RID + "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'add_sub' model "
        "configuration"
    )


def test_a_raw_request_cannot_have_two_open_dimensions() -> None:
    assert raw_refusal(raw_model(8, -1, -1), bytes(16)) == (
        RID + "The shape of the raw input 'IN' can not be deduced because there are more than one variable-sized "
        "dimension"
    )


@pytest.mark.parametrize(("max_batch_size", "shape"), [(0, (1,)), (8, (1, 1))])
def test_a_raw_string_is_one_element(max_batch_size: int, shape: tuple[int, ...]) -> None:
    raw = raw_model(max_batch_size, 1, datatype=datatypes.BYTES).raw_input(memoryview(b"some text"))
    assert raw.shape == shape
    assert raw.array.ravel().tolist() == [b"some text"]


@pytest.mark.parametrize("dims", [(2,), (-1,), (1, 1)])
def test_a_raw_string_needs_the_shape_of_one_element(dims: tuple[int, ...]) -> None:
    message = raw_refusal(raw_model(0, *dims, datatype=datatypes.BYTES), b"text")
    assert message == RID + "For BYTE datatype raw input 'IN', the model must have input shape [1]"


def test_a_raw_request_is_reshaped_like_any_other() -> None:
    admission = reshaping(8, (2, 3), (6,))
    request = request_of(admission.raw_input(bytes(24)))
    admission.check(request)
    assert request.inputs["IN"].shape == (1, 6)


# A refused request leaves nothing behind.


@pytest.mark.parametrize("make", [lambda: tensor("IN", 1, 3, size_bytes=1), lambda: tensor("IN", 9, 3)])
def test_a_refused_request_is_as_it_came(make: Callable[[], Tensor]) -> None:
    given = make()
    request = request_of(given)
    with pytest.raises(InvalidArgumentError):
        reshaping(8, (3,), (3, 1)).check(request)
    assert request.inputs == {"IN": given}
    assert request.batch_size == 1

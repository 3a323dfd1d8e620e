"""The data of requests: sizes, strings, reshaping, and requests that are only bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from tests.scheduler.admission_cases import (
    ADD_SUB,
    RID,
    STRINGS,
    refusal,
    request_of,
    reshaping,
    spec,
    strings,
    tensor,
)
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import bytes_codec, datatypes
from tritonpy.scheduler.admission import Admission, carry_over, fits
from tritonpy.scheduler.string_elements import MAX_CHECKED_ON_LOOP

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


# Reshape.


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

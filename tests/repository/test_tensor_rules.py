"""Every message about inputs and outputs, in Triton's words, and which one comes first."""

from __future__ import annotations

import pytest

from tests.repository.configs import config_of, python_config
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.repository.tensor_rules import validate_tensors

TYPE = "data_type: TYPE_FP32"
DIFFERENT_SIZE = "has different size for dims and reshape"
DIM = "dimension must be integer >= 1, or -1 to indicate a variable-size dimension"
RESHAPE_DIM = "reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension"
NO_EMPTY_RESHAPE = "cannot have empty reshape for non-batching model as scalar tensors are not supported"


def refusal(text: str) -> str:
    with pytest.raises(InvalidArgumentError) as raised:
        validate_tensors(python_config(text))
    return raised.value.message


@pytest.mark.parametrize("kind", ["input", "output"])
@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("", "must specify 'name'"),
        (f"{TYPE} dims: 1", "must specify 'name'"),
        ('name: "T" dims: 1', "'T' must specify 'data_type'"),
        (f'name: "T" {TYPE}', "'T' must specify 'dims'"),
        (f'name: "T" {TYPE} dims: 1 reshape {{}}', f"'T' {NO_EMPTY_RESHAPE}"),
        (f'name: "T" {TYPE} dims: 0', f"'T' {DIM}"),
        (f'name: "T" {TYPE} dims: [ 1, -2 ]', f"'T' {DIM}"),
        (
            f'name: "T" {TYPE} dims: [ 4294967296, -1, 2147483648 ]',
            "'T' has dims of more than 9223372036854775807 elements, which no tensor can have",
        ),
        (f'name: "T" {TYPE} dims: 1 reshape {{ shape: 0 }}', f"'T' {RESHAPE_DIM}"),
        (f'name: "T" {TYPE} dims: [ 2, 3 ] reshape {{ shape: [ 2, 2 ] }}', f"'T' {DIFFERENT_SIZE}"),
        (f'name: "T" {TYPE} dims: [ -1 ] reshape {{ shape: [ 2 ] }}', f"'T' {DIFFERENT_SIZE}"),
        (
            f'name: "T" {TYPE} dims: [ -1, -1 ] reshape {{ shape: [ -1 ] }}',
            "'T' has different number of variable-size dimensions for dims and reshape",
        ),
        (f'name: "T" {TYPE} dims: [ 2, -1, 3 ] reshape {{ shape: [ 3, -1, 2 ] }}', f"'T' {DIFFERENT_SIZE}"),
        (f'name: "T" {TYPE} dims: [ -1, 6, -1 ] reshape {{ shape: [ 6, -1, -1 ] }}', f"'T' {DIFFERENT_SIZE}"),
        (
            f'name: "T" {TYPE} dims: 1 is_shape_tensor: true',
            "'T' shape tensors are only supported for TensorRT platform",
        ),
        (
            f'name: "T" {TYPE} dims: 1 is_non_linear_format_io: true',
            "'T' Non-linear IO format is only supported for the TensorRT platform",
        ),
    ],
)
def test_a_wrong_tensor(kind: str, entry: str, problem: str) -> None:
    assert refusal(f"{kind} {{ {entry} }}") == f"model {kind} {problem} for m"


@pytest.mark.parametrize("kind", ["input", "output"])
@pytest.mark.parametrize(
    "entry",
    [
        "dims: [ 1, -1 ]",
        "dims: [ 4294967296, 2147483647 ]",
        "dims: [ 2, 3 ] reshape { shape: 6 }",
        "dims: [ 2, 3 ] reshape { shape: [ 1, 3, 2, 1 ] }",
        "dims: [ 4, -1, 2, 3 ] reshape { shape: [ 2, 2, -1, 6 ] }",
        "dims: 1 reshape {}",
        "dims: [ 1, 1 ] reshape {}",
    ],
)
def test_a_good_tensor_of_a_batching_model(kind: str, entry: str) -> None:
    validate_tensors(python_config(f'max_batch_size: 2 {kind} {{ name: "T" {TYPE} {entry} }}'))


def test_an_empty_reshape_is_of_one_element() -> None:
    text = f'max_batch_size: 2 input {{ name: "T" {TYPE} dims: 2 reshape {{}} }}'
    assert refusal(text) == f"model input 'T' {DIFFERENT_SIZE} for m"


@pytest.mark.parametrize("image_format", ["FORMAT_NHWC", "FORMAT_NCHW"])
def test_images_have_three_dimensions(image_format: str) -> None:
    entry = f'input {{ name: "T" {TYPE} format: {image_format} dims: [ 3, 2, 2 ] }}'
    validate_tensors(python_config(entry))
    assert refusal(entry.replace("3, ", "")) == "model input NHWC/NCHW require 3 dims for m"


@pytest.mark.parametrize("kind", ["input", "output"])
def test_what_only_tensorrt_has(kind: str) -> None:
    tensorrt = 'name: "m" backend: "tensorrt" platform: "tensorrt_plan"'
    flags = "is_shape_tensor: true is_non_linear_format_io: true"
    validate_tensors(config_of(f'{tensorrt} {kind} {{ name: "T" {TYPE} {flags} dims: [ 3, 2, 2 ] }}'))
    with pytest.raises(InvalidArgumentError) as raised:
        validate_tensors(config_of(f'{tensorrt} {kind} {{ name: "T" {TYPE} {flags} dims: [ 2, 2 ] }}'))
    assert raised.value.message == f"model {kind} 'T' Non-linear IO format input requires 3 dims for m"


@pytest.mark.parametrize("kind", ["input", "output"])
def test_names_are_unique_among_inputs_and_among_outputs(kind: str) -> None:
    entry = f'name: "T" {TYPE} dims: 1'
    validate_tensors(python_config(f"input {{ {entry} }} output {{ {entry} }}"))
    message = refusal(f"{kind} {{ {entry} }} {kind} {{ {entry} }}")
    assert message == f"model {kind} 'T' is listed more than once: duplicate {kind} name for m"


def test_the_first_wrong_tensor_is_told() -> None:
    image = f'input {{ name: "A" {TYPE} format: FORMAT_NHWC dims: 1 }}'
    assert "require 3 dims" in refusal(image + " input {} output {}")
    assert refusal("input {} output {}") == "model input must specify 'name' for m"


def test_a_model_may_have_no_tensors() -> None:
    validate_tensors(python_config())

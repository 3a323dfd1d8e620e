from __future__ import annotations

import pytest

from tests.repository.configs import ModelConfig, config_of, python_config
from tritonpy.backends.contract import Completion
from tritonpy.backends.errors import InternalError
from tritonpy.backends.signature import TensorSpec
from tritonpy.protos.datatypes import BY_CONFIG_NAME
from tritonpy.repository.completion import apply_completion
from tritonpy.repository.normalise import normalise
from tritonpy.repository.tensor_rules import validate_tensors
from tritonpy.repository.validate import validate

FP32, INT8 = BY_CONFIG_NAME["TYPE_FP32"], BY_CONFIG_NAME["TYPE_INT8"]
X = TensorSpec("X", FP32, (-1, 3))
Y = TensorSpec("Y", INT8, (1,), reshape=())


def completed(text: str, completion: Completion) -> ModelConfig:
    config = python_config(text)
    apply_completion(config, completion)
    return config


@pytest.mark.parametrize(
    ("text", "completion", "expected"),
    [
        ("max_batch_size: 2", Completion(), "max_batch_size: 2"),
        ("max_batch_size: 2", Completion(max_batch_size=4), "max_batch_size: 4"),
        ("max_batch_size: 2", Completion(max_batch_size=0), ""),
        ("", Completion(inputs=(X,)), 'input { name: "X" data_type: TYPE_FP32 dims: [ -1, 3 ] }'),
        ("", Completion(outputs=(Y,)), 'output { name: "Y" data_type: TYPE_INT8 dims: 1 reshape {} }'),
        # What is listed stays, in its place.
        (
            'input { name: "A" data_type: TYPE_BOOL dims: 1 } input { name: "X" }',
            Completion(inputs=(Y, X)),
            'input { name: "A" data_type: TYPE_BOOL dims: 1 } '
            'input { name: "X" data_type: TYPE_FP32 dims: [ -1, 3 ] } '
            'input { name: "Y" data_type: TYPE_INT8 dims: 1 reshape {} }',
        ),
        (
            'input { name: "X" data_type: TYPE_BOOL dims: 7 }',
            Completion(inputs=(X,)),
            'input { name: "X" data_type: TYPE_BOOL dims: 7 }',
        ),
        (
            'output { name: "Y" dims: 7 label_filename: "l.txt" }',
            Completion(outputs=(Y,)),
            'output { name: "Y" data_type: TYPE_INT8 dims: 7 label_filename: "l.txt" }',
        ),
        (
            'input { name: "X" }',
            Completion(inputs=(TensorSpec("X", FP32, (1,), optional=True, allow_ragged_batch=True),)),
            'input { name: "X" data_type: TYPE_FP32 dims: 1 optional: true allow_ragged_batch: true }',
        ),
        (
            'input { name: "X" optional: true }',
            Completion(inputs=(TensorSpec("X", None, (1,)),)),
            'input { name: "X" dims: 1 optional: true }',
        ),
        ("", Completion(decoupled=True), "model_transaction_policy { decoupled: true }"),
        ("", Completion(decoupled=False), "model_transaction_policy { decoupled: false }"),
        ("", Completion(dynamic_batching=True), "dynamic_batching {}"),
        (
            "dynamic_batching { max_queue_delay_microseconds: 5 }",
            Completion(dynamic_batching=True),
            "dynamic_batching { max_queue_delay_microseconds: 5 }",
        ),
        ("sequence_batching {}", Completion(), "sequence_batching {}"),
    ],
)
def test_a_completion_fills_what_is_open(text: str, completion: Completion, expected: str) -> None:
    assert completed(text, completion) == python_config(expected)


def test_a_scheduler_that_is_configured_is_not_replaced() -> None:
    with pytest.raises(InternalError) as raised:
        completed("sequence_batching {}", Completion(dynamic_batching=True))
    assert raised.value.message == (
        "Cannot update scheduling choice from sequence_batching to dynamic_batching when auto-completing."
    )


def test_a_completed_configuration_is_normalised_and_valid() -> None:
    config = config_of('name: "m" backend: "python"')
    normalise(config)
    apply_completion(config, Completion(max_batch_size=4, inputs=(X,), outputs=(Y,), dynamic_batching=True))
    normalise(config)
    validate(config)
    validate_tensors(config)
    assert list(config.dynamic_batching.preferred_batch_size) == [4]

"""Every message of the core checks, in Triton's words."""

from __future__ import annotations

import pytest

from tests.repository.configs import config_of, python_config
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.repository.validate import validate

DYNAMIC = "dynamic_batching {{ {} }}".format
CACHED = "response_cache { enable: true }"
DECOUPLED = "model_transaction_policy { decoupled: true }"
DELAYING = "default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1 }"
PLAIN_DELAYING = "default_queue_policy { timeout_action: DELAY }"


def refusal(text: str) -> str:
    with pytest.raises(InvalidArgumentError) as raised:
        validate(config_of(text))
    return raised.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model configuration must specify 'name'"),
        ('name: "m"', "unexpected platform type '' for m"),
        ('name: "m" platform: "nonsense"', "unexpected platform type 'nonsense' for m"),
        (
            'name: "m" platform: "ensemble" backend: "python"',
            "Ensemble model 'm' must have platform type 'ensemble' and empty backend type",
        ),
        (
            'name: "m" platform: "pytorch_libtorch" backend: "onnxruntime"',
            "unexpected 'platform' and 'backend' pair, got:pytorch_libtorch, onnxruntime",
        ),
        (
            'name: "m" ensemble_scheduling {}',
            "ensemble scheduling cannot be set for model 'm' whose platform is not ensemble",
        ),
        (
            'name: "m" backend: "python" ensemble_scheduling {}',
            "ensemble scheduling cannot be set for model 'm' whose platform is not ensemble",
        ),
        (
            'name: "m" platform: "ensemble"',
            "ensemble scheduling must be set for ensemble m whose platform is ensemble",
        ),
        (
            'name: "m" backend: "python" sequence_batching { control_input {} }',
            "sequence batching control tensor must have a name for m",
        ),
        (
            'name: "m" backend: "tensorflow"',
            "unexpected 'platform' and 'backend' pair, got:, tensorflow",
        ),
    ],
)
def test_name_and_backend(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(
    "text",
    [
        'name: "m" backend: "python"',
        'name: "m" backend: "python" platform: "onnxruntime_onnx"',
        'name: "m" backend: "custom" platform: "anything"',
        'name: "m" backend: "onnxruntime" platform: "onnxruntime_onnx"',
        'name: "m" backend: "pytorch" platform: "torch_aoti"',
    ],
)
def test_good_pairs_of_platform_and_backend(text: str) -> None:
    validate(config_of(text))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("max_batch_size: -1", "'max_batch_size' must be non-negative value for m"),
        (DYNAMIC("preferred_batch_size: 0"), "dynamic batching preferred size must be positive for m"),
        (DYNAMIC("preferred_batch_size: -4"), "dynamic batching preferred size must be positive for m"),
        (
            "max_batch_size: 8 " + DYNAMIC("preferred_batch_size: [ 4, 9 ]"),
            "dynamic batching preferred size must be <= max batch size for m",
        ),
        (DYNAMIC("priority_levels: 2"), "default priority level must be in range [1, 2] for m"),
        (
            DYNAMIC("priority_levels: 2 default_priority_level: 3"),
            "default priority level must be in range [1, 2] for m",
        ),
        (
            DYNAMIC("priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 3 value {} }"),
            "priority queue policy must have priority level in range [1, 2] for m",
        ),
        (
            DYNAMIC("priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 0 value {} }"),
            "priority queue policy must have priority level in range [1, 2] for m",
        ),
        (
            DYNAMIC("preserve_ordering: true priority_levels: 2 default_priority_level: 1"),
            "Only one priority level is allowed when 'preserve_ordering' is true for m",
        ),
        (
            DYNAMIC(f"preserve_ordering: true {DELAYING}"),
            "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
        ),
        (
            DYNAMIC(
                "preserve_ordering: true priority_levels: 1 default_priority_level: 1 priority_queue_policy "
                "{ key: 1 value { timeout_action: DELAY default_timeout_microseconds: 1 } }"
            ),
            "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
        ),
        (
            f"{CACHED} {DECOUPLED}",
            "Response Cache does not currently support model m with 'decoupled' transaction policy. Please disable "
            "the response cache.",
        ),
        (
            f"{CACHED} sequence_batching {{}}",
            "Response Cache does not currently support model m with sequence batching scheduler. Please disable the "
            "response cache.",
        ),
        ("model_metrics { metric_control {} }", "metric control must specify 'metric_identifier'"),
        (
            "model_metrics { metric_control { metric_identifier {} } }",
            "metric identifier must specify non-empty 'family'",
        ),
        (
            'model_metrics { metric_control { metric_identifier { family: "f" } } }',
            "metric control must specify 'histogram_options'",
        ),
        (
            'model_metrics { metric_control { metric_identifier { family: "f" } histogram_options {} } }',
            "histogram options must specify non-empty 'buckets'",
        ),
    ],
)
def test_a_wrong_field(fields: str, message: str) -> None:
    assert refusal(f'name: "m" backend: "python" {fields}') == message


@pytest.mark.parametrize(
    "fields",
    [
        "max_batch_size: 8",
        "max_batch_size: 8 " + DYNAMIC("preferred_batch_size: [ 1, 8 ]"),
        DYNAMIC(""),
        DYNAMIC("priority_levels: 2 default_priority_level: 2 priority_queue_policy { key: 1 value {} }"),
        DYNAMIC("priority_queue_policy { key: 7 value {} }"),
        DYNAMIC("preserve_ordering: true priority_levels: 1 default_priority_level: 1"),
        DYNAMIC(f"preserve_ordering: true {PLAIN_DELAYING}"),
        DYNAMIC(DELAYING),
        CACHED,
        f"response_cache {{}} {DECOUPLED}",
        'model_metrics { metric_control { metric_identifier { family: "f" } histogram_options { buckets: 1 } } }',
    ],
)
def test_good_fields(fields: str) -> None:
    validate(python_config(fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("input { data_type: 99 }", "unknown value 99 of 'data_type', expected one of: TYPE_INVALID, TYPE_BOOL"),
        ("instance_group { kind: 7 }", "unknown value 7 of 'kind', expected one of: KIND_AUTO"),
        (
            DYNAMIC("priority_queue_policy { key: 1 value { timeout_action: 2 } }"),
            "unknown value 2 of 'timeout_action', expected one of: REJECT, DELAY",
        ),
        ("optimization { priority: 3 }", "unknown value 3 of 'priority', expected one of: PRIORITY_DEFAULT"),
    ],
)
def test_a_number_that_no_name_stands_for(fields: str, message: str) -> None:
    assert refusal(f'name: "m" backend: "python" {fields}').startswith(message)

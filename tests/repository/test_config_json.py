from __future__ import annotations

import json

import pytest

from tests.repository.configs import config_of, python_config
from tritonpy.repository.config_json import config_dict, config_json
from tritonpy.repository.normalise import normalise, normalise_instance_groups

SLEEP_CONFIG = """
name: "sleep"
backend: "python"
max_batch_size: 4
input [ { name: "MS" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
dynamic_batching {
  preferred_batch_size: [ 1 ]
  priority_levels: 2
  default_priority_level: 2
  default_queue_policy { default_timeout_microseconds: 30000000 allow_timeout_override: true max_queue_size: 3 }
}
instance_group [ { kind: KIND_CPU } ]
default_model_filename: "model.py"
"""
# What Triton 2.51 answers for it.
SLEEP_JSON = (
    '{"name":"sleep","platform":"","backend":"python","runtime":"",'
    '"version_policy":{"latest":{"num_versions":1}},"max_batch_size":4,"input":[{"name":"MS",'
    '"data_type":"TYPE_INT32","format":"FORMAT_NONE","dims":[1],"is_shape_tensor":false,'
    '"allow_ragged_batch":false,"optional":false,"is_non_linear_format_io":false}],"output":[{"name":"OUT",'
    '"data_type":"TYPE_INT32","dims":[1],"label_filename":"","is_shape_tensor":false,'
    '"is_non_linear_format_io":false}],"batch_input":[],"batch_output":[],'
    '"optimization":{"priority":"PRIORITY_DEFAULT","input_pinned_memory":{"enable":true},'
    '"output_pinned_memory":{"enable":true},"gather_kernel_buffer_threshold":0,"eager_batching":false},'
    '"dynamic_batching":{"preferred_batch_size":[1],"max_queue_delay_microseconds":0,'
    '"preserve_ordering":false,"priority_levels":2,"default_priority_level":2,'
    '"default_queue_policy":{"timeout_action":"REJECT","default_timeout_microseconds":30000000,'
    '"allow_timeout_override":true,"max_queue_size":3},"priority_queue_policy":{}},'
    '"instance_group":[{"name":"sleep_0","kind":"KIND_CPU","count":1,"gpus":[],"secondary_devices":[],'
    '"profile":[],"passive":false,"host_policy":""}],"default_model_filename":"model.py",'
    '"cc_model_filenames":{},"metric_tags":{},"parameters":{},"model_warmup":[]}'
)


def test_the_configuration_is_what_triton_sends() -> None:
    config = config_of(SLEEP_CONFIG)
    normalise(config)
    normalise_instance_groups(config, ())
    assert config_json(config).decode() == SLEEP_JSON


def test_a_sequence_section_is_what_triton_sends() -> None:
    config = python_config("""
    sequence_batching {
      max_sequence_idle_microseconds: 60000000
      control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
    }
    """)
    normalise(config)
    assert (
        '"sequence_batching":{"max_sequence_idle_microseconds":60000000,"control_input":[{"name":"START","control":'
        '[{"kind":"CONTROL_SEQUENCE_START","int32_false_true":[0,1],"fp32_false_true":[],"bool_false_true":[],'
        '"data_type":"TYPE_INVALID"}]}],"state":[],"iterative_sequence":false}'
    ) in config_json(config).decode()


def test_an_ensemble_is_what_triton_sends() -> None:
    config = config_of("""
    name: "ens" platform: "ensemble" model_transaction_policy {}
    ensemble_scheduling { step {
      model_name: "identity" model_version: -1
      input_map { key: "INPUT0" value: "X" } output_map { key: "OUTPUT0" value: "Y" }
    } }
    """)
    normalise(config)
    text = config_json(config).decode()
    # `max_inflight_requests` is newer than the recorded answer.
    assert text.endswith(
        '"batch_output":[],"ensemble_scheduling":{"step":[{"model_name":"identity","model_version":-1,"input_map":'
        '{"INPUT0":"X"},"output_map":{"OUTPUT0":"Y"},"model_namespace":""}],"max_inflight_requests":0},'
        '"instance_group":[],"default_model_filename":"","cc_model_filenames":{},"metric_tags":{},"parameters":{},'
        '"model_warmup":[],"model_transaction_policy":{"decoupled":false}}'
    )


def test_keys_have_the_order_of_the_proto_file() -> None:
    config = python_config(
        "model_metrics {} response_cache {} model_repository_agents {} model_transaction_policy {} model_operations {} "
        "sequence_batching {} optimization {} version_policy {}"
    )
    assert list(config_dict(config)) == [
        "name",
        "platform",
        "backend",
        "runtime",
        "version_policy",
        "max_batch_size",
        "input",
        "output",
        "batch_input",
        "batch_output",
        "optimization",
        "sequence_batching",
        "instance_group",
        "default_model_filename",
        "cc_model_filenames",
        "metric_tags",
        "parameters",
        "model_warmup",
        "model_operations",
        "model_transaction_policy",
        "model_repository_agents",
        "response_cache",
        "model_metrics",
    ]


def test_the_order_of_the_parts() -> None:
    tensor = 'name: "T" data_type: TYPE_FP32 dims: 1 reshape { shape: 1 }'
    text = f"input {{ {tensor} }} output {{ {tensor} }} instance_group {{ rate_limiter {{}} }}"
    config = json.loads(config_json(python_config(text)))
    assert list(config["input"][0]) == [
        "name",
        "data_type",
        "format",
        "dims",
        "reshape",
        "is_shape_tensor",
        "allow_ragged_batch",
        "optional",
        "is_non_linear_format_io",
    ]
    assert list(config["output"][0]) == [
        "name",
        "data_type",
        "dims",
        "reshape",
        "label_filename",
        "is_shape_tensor",
        "is_non_linear_format_io",
    ]
    assert list(config["instance_group"][0]) == [
        "name",
        "kind",
        "count",
        "rate_limiter",
        "gpus",
        "secondary_devices",
        "profile",
        "passive",
        "host_policy",
    ]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("input { dims: [ 1, -1 ] }", ("input", 0, "dims"), [1, -1]),
        ("output { reshape { shape: 9007199254740993 } }", ("output", 0, "reshape", "shape"), [9007199254740993]),
        (
            "dynamic_batching { max_queue_delay_microseconds: 18446744073709551615 }",
            ("dynamic_batching", "max_queue_delay_microseconds"),
            18446744073709551615,
        ),
        ("version_policy { specific { versions: [ 3, 1 ] } }", ("version_policy", "specific", "versions"), [3, 1]),
        (
            "sequence_batching { max_sequence_idle_microseconds: 7 }",
            ("sequence_batching", "max_sequence_idle_microseconds"),
            7,
        ),
        ("ensemble_scheduling { step { model_version: -1 } }", ("ensemble_scheduling", "step", 0, "model_version"), -1),
        ('model_warmup { inputs { key: "T" value { dims: 2 } } }', ("model_warmup", 0, "inputs", "T", "dims"), [2]),
        # Keys of JSON are text; Triton leaves these values text as well.
        (
            "dynamic_batching { priority_queue_policy { key: 2 value { default_timeout_microseconds: 5 } } }",
            ("dynamic_batching", "priority_queue_policy", "2", "default_timeout_microseconds"),
            5,
        ),
        (
            "instance_group { secondary_devices { device_id: 4 } }",
            ("instance_group", 0, "secondary_devices", 0, "device_id"),
            "4",
        ),
        (
            'optimization { cuda { graph_spec { input { key: "T" value { dim: 6 } } } } }',
            ("optimization", "cuda", "graph_spec", 0, "input", "T", "dim"),
            ["6"],
        ),
        (
            'optimization { cuda { graph_spec { graph_lower_bound { input { key: "T" value { dim: 6 } } } } } }',
            ("optimization", "cuda", "graph_spec", 0, "graph_lower_bound", "input", "T", "dim"),
            ["6"],
        ),
        (
            "sequence_batching { state { initial_state { dims: 8 } dims: 8 } }",
            ("sequence_batching", "state", 0, "initial_state", 0, "dims"),
            ["8"],
        ),
        ("sequence_batching { state { dims: 8 } }", ("sequence_batching", "state", 0, "dims"), [8]),
        ("instance_group { kind: KIND_MODEL count: 2 }", ("instance_group", 0, "kind"), "KIND_MODEL"),
        (
            "sequence_batching { direct { minimum_slot_utilization: 0.5 } }",
            ("sequence_batching", "direct", "minimum_slot_utilization"),
            0.5,
        ),
        (
            'parameters { key: "b" value { string_value: "2" } } parameters { key: "a" value { string_value: "1" } }',
            ("parameters",),
            {"a": {"string_value": "1"}, "b": {"string_value": "2"}},
        ),
        ('metric_tags { key: "k" value: "v" }', ("metric_tags",), {"k": "v"}),
    ],
)
def test_values(text: str, path: tuple[str | int, ...], expected: object) -> None:
    value = json.loads(config_json(python_config(text)))
    for part in path:
        value = value[part]
    assert value == expected
    assert type(value) is type(expected)


def test_messages_that_are_not_set_are_left_out() -> None:
    config = config_dict(python_config())
    for name in ("optimization", "version_policy", "response_cache", "model_transaction_policy", "dynamic_batching"):
        assert name not in config

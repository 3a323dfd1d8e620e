from __future__ import annotations

import pytest

from tests.repository.configs import config_of, python_config
from tritonpy.backends.errors import UnsupportedError
from tritonpy.repository.unsupported import ignored_features, refuse_unsupported

STRATEGY = 'parameters { key: "TRITON_BATCH_STRATEGY_PATH" value { string_value: "a.so" } }'
CUSTOM_OPERATIONS = 'model_operations { op_library_filename: "ops.so" }'


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ("sequence_batching {}", "sequence batching"),
        ("model_warmup {}", "'model_warmup'"),
        ('model_repository_agents { agents { name: "a" } }', "'model_repository_agents'"),
        ("batch_input {}", "'batch_input' and 'batch_output'"),
        ("batch_output {}", "'batch_input' and 'batch_output'"),
        (STRATEGY, "the parameter 'TRITON_BATCH_STRATEGY_PATH'"),
        ('runtime: "libcustom.so"', "the runtime 'libcustom.so'"),
        ('runtime: "model.py"', "the runtime 'model.py'"),
    ],
)
def test_what_cannot_be_done_is_refused(fields: str, feature: str) -> None:
    with pytest.raises(UnsupportedError) as raised:
        refuse_unsupported(python_config(fields))
    assert raised.value.message == f"model 'm' asks for {feature}, which this server does not support yet"


def test_an_ensemble_is_refused_by_its_platform() -> None:
    with pytest.raises(UnsupportedError, match="ensembles"):
        refuse_unsupported(config_of('name: "e" platform: "ensemble"'))


def test_custom_operations_are_refused_where_triton_would_load_them() -> None:
    refuse_unsupported(python_config(CUSTOM_OPERATIONS))
    with pytest.raises(UnsupportedError, match="'model_operations'"):
        refuse_unsupported(config_of(f'name: "m" backend: "onnxruntime" {CUSTOM_OPERATIONS}'))


@pytest.mark.parametrize(
    "text",
    [
        'backend: "python"',
        'backend: "python" model_repository_agents {} dynamic_batching {}',
        'backend: "onnxruntime" runtime: "libtriton_onnxruntime.so"',
        'backend: "pytorch" runtime: "model.py"',
        'backend: "onnxruntime" optimization { execution_accelerators {} graph { level: 1 } } model_operations {}',
        'backend: "python" cc_model_filenames { key: "7.5" value: "a" } metric_tags { key: "k" value: "v" }',
    ],
)
def test_the_rest_is_not_refused(text: str) -> None:
    config = config_of(text)
    refuse_unsupported(config)
    assert ignored_features(config) == []


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ("response_cache { enable: true }", "'response_cache': the server has no cache"),
        ("model_metrics { metric_control {} }", "'model_metrics': the metrics have no histogram"),
        ("instance_group { rate_limiter {} }", "'rate_limiter': the server has no rate limiter"),
        (
            "dynamic_batching { priority_queue_policy { key: 1 value {} } }",
            "'priority_queue_policy': there are no 'priority_levels'",
        ),
    ],
)
def test_what_has_no_effect_is_told(fields: str, feature: str) -> None:
    refuse_unsupported(python_config(fields))
    assert ignored_features(python_config(fields)) == [feature]

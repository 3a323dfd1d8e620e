from __future__ import annotations

import pytest

from tests.repository.configs import ModelConfig, config_of, python_config
from tritonpy.backends.contract import DeviceKind, InstanceSpec
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.repository.instance_rules import instances, validate_instances
from tritonpy.repository.normalise import normalise_instance_groups

CPU, GPU, MODEL = DeviceKind.CPU, DeviceKind.GPU, DeviceKind.MODEL


def resolved(groups: str, gpu_ids: tuple[int, ...] = ()) -> ModelConfig:
    config = python_config(groups)
    normalise_instance_groups(config, gpu_ids)
    return config


@pytest.mark.parametrize(
    ("groups", "gpu_ids", "problem"),
    [
        ("instance_group { kind: KIND_CPU gpus: 0 }", (0,), "has kind KIND_CPU but specifies one or more GPUs"),
        ("instance_group { kind: KIND_MODEL gpus: 0 }", (0,), "has kind KIND_MODEL but specifies one or more GPUs"),
        # Triton makes KIND_AUTO with GPUs that are not there KIND_CPU, and then refuses it.
        ("instance_group { gpus: 0 }", (), "has kind KIND_CPU but specifies one or more GPUs"),
        ("instance_group { kind: KIND_GPU }", (), "has kind KIND_GPU but no GPUs are available"),
        ("instance_group { kind: KIND_GPU gpus: 0 }", (), "has kind KIND_GPU but no GPUs are available"),
        (
            "instance_group { kind: KIND_GPU gpus: [ 1, 5 ] }",
            (0, 1),
            "specifies invalid or unsupported gpu id 5. GPUs available: 0, 1",
        ),
        ("instance_group { kind: KIND_GPU gpus: -1 }", (0,), "specifies invalid or unsupported gpu id -1."),
    ],
)
def test_a_wrong_group(groups: str, gpu_ids: tuple[int, ...], problem: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        validate_instances(resolved(groups, gpu_ids), gpu_ids)
    assert raised.value.message.startswith(f"instance group m_0 of model m {problem}")


def test_a_profile_is_for_tensorrt_only() -> None:
    config = config_of('name: "m" backend: "onnxruntime" platform: "onnxruntime_onnx" instance_group { profile: "0" }')
    normalise_instance_groups(config, ())
    with pytest.raises(InvalidArgumentError) as raised:
        validate_instances(config, ())
    assert raised.value.message == (
        "instance group m_0 of model m and platform onnxruntime_onnxspecifies profile field which is only supported "
        "for TensorRT models"
    )


def test_there_is_at_least_one_group() -> None:
    with pytest.raises(InvalidArgumentError, match="must specify one or more 'instance group's for m"):
        validate_instances(python_config(), ())


@pytest.mark.parametrize(
    ("groups", "gpu_ids", "expected"),
    [
        ("", (), [("m_0", CPU, 0)]),
        ("", (0,), [("m_0", GPU, 0)]),
        ("instance_group { count: 2 }", (), [("m_0_0", CPU, 0), ("m_0_1", CPU, 0)]),
        (
            'instance_group { name: "g" kind: KIND_CPU } instance_group { kind: KIND_MODEL }',
            (),
            [("g_0", CPU, 0), ("m_1_0", MODEL, 0)],
        ),
        (
            "instance_group { kind: KIND_GPU count: 2 gpus: [ 0, 1 ] }",
            (0, 1),
            [("m_0_0", GPU, 0), ("m_0_1", GPU, 0), ("m_0_0", GPU, 1), ("m_0_1", GPU, 1)],
        ),
        ("instance_group { passive: true } instance_group {}", (), [("m_1_0", CPU, 0)]),
    ],
)
def test_the_instances_of_groups(
    groups: str, gpu_ids: tuple[int, ...], expected: list[tuple[str, DeviceKind, int]]
) -> None:
    config = resolved(groups, gpu_ids)
    validate_instances(config, gpu_ids)
    assert instances(config) == [InstanceSpec(*row, len(expected)) for row in expected]


def test_a_model_with_passive_groups_only_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="every instance group of model m is passive"):
        instances(resolved("instance_group { passive: true }"))

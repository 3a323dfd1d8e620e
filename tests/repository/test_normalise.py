from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.repository.configs import ModelConfig, config_of, python_config
from tritonpy.protos.generated.model_config_pb2 import ModelInstanceGroup as Group
from tritonpy.repository.normalise import normalise, normalise_instance_groups


def normalised(text: str) -> ModelConfig:
    config = python_config(text)
    normalise(config)
    return config


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", "latest { num_versions: 1 }"),
        ("version_policy {}", "latest { num_versions: 1 }"),
        ("version_policy { latest {} }", "latest {}"),
        ("version_policy { all {} }", "all {}"),
        ("version_policy { specific {} }", "specific {}"),
    ],
)
def test_the_latest_version_is_served_unless_something_else_is_said(policy: str, expected: str) -> None:
    wanted = config_of(f"version_policy {{ {expected} }}").version_policy
    assert normalised(policy).version_policy == wanted


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("max_batch_size: 8 dynamic_batching {}", [8]),
        ("max_batch_size: 8 dynamic_batching { preferred_batch_size: 2 }", [2]),
        ("dynamic_batching {}", []),
    ],
)
def test_the_preferred_batch_size_is_the_largest(text: str, sizes: list[int]) -> None:
    assert list(normalised(text).dynamic_batching.preferred_batch_size) == sizes


def test_no_scheduler_is_added() -> None:
    assert normalised("max_batch_size: 8").WhichOneof("scheduling_choice") is None


@pytest.mark.parametrize(
    ("text", "idle_us", "sizes"),
    [
        ("sequence_batching {}", 1_000_000, []),
        ("sequence_batching { max_sequence_idle_microseconds: 5 }", 5, []),
        ("max_batch_size: 4 sequence_batching { oldest {} }", 1_000_000, [4]),
        ("max_batch_size: 4 sequence_batching { oldest { preferred_batch_size: 3 } }", 1_000_000, [3]),
        ("sequence_batching { oldest {} }", 1_000_000, []),
    ],
)
def test_defaults_of_sequence_batching(text: str, idle_us: int, sizes: list[int]) -> None:
    batching = normalised(text).sequence_batching
    assert batching.max_sequence_idle_microseconds == idle_us
    assert list(batching.oldest.preferred_batch_size) == sizes
    assert not batching.HasField("direct")


@pytest.mark.parametrize(
    ("text", "enabled"),
    [
        ("", (True, True)),
        ("optimization { input_pinned_memory { enable: false } }", (False, True)),
        ("optimization { input_pinned_memory {} output_pinned_memory {} }", (False, False)),
    ],
)
def test_pinned_memory_is_on_unless_the_message_is_there(text: str, enabled: tuple[bool, bool]) -> None:
    optimization = normalised(text).optimization
    assert (optimization.input_pinned_memory.enable, optimization.output_pinned_memory.enable) == enabled


def test_an_ensemble_gets_no_optimization() -> None:
    config = config_of('name: "e" platform: "ensemble"')
    normalise(config)
    assert not config.HasField("optimization")


def test_normalising_twice_changes_nothing() -> None:
    config = normalised("max_batch_size: 8 dynamic_batching {}")
    normalise_instance_groups(config, [0])
    again = ModelConfig()
    again.CopyFrom(config)
    normalise(again)
    normalise_instance_groups(again, [0])
    assert again == config


GroupRow = tuple[str, int, int, list[int]]
"""name, kind, count, gpus"""


@pytest.mark.parametrize(
    ("backend", "groups", "gpu_ids", "expected"),
    [
        ("python", "", [], [("m", Group.KIND_CPU, 1, [])]),
        ("python", "", [0, 1], [("m", Group.KIND_GPU, 1, [0, 1])]),
        ("onnxruntime", "", [], [("m", Group.KIND_CPU, 2, [])]),
        ("onnxruntime", "", [0], [("m", Group.KIND_GPU, 1, [0])]),
        ("python", "instance_group {}", [], [("m_0", Group.KIND_CPU, 1, [])]),
        (
            "python",
            'instance_group { kind: KIND_CPU } instance_group { name: "g" kind: KIND_CPU count: 3 } '
            "instance_group { kind: KIND_MODEL }",
            [],
            [("m_0", Group.KIND_CPU, 1, []), ("g", Group.KIND_CPU, 3, []), ("m_2", Group.KIND_MODEL, 1, [])],
        ),
        ("python", "instance_group { count: -2 }", [], [("m_0", Group.KIND_CPU, 1, [])]),
        ("onnxruntime", "instance_group { kind: KIND_CPU }", [0], [("m_0", Group.KIND_CPU, 2, [])]),
        ("onnxruntime", "instance_group { kind: KIND_CPU count: 1 }", [], [("m_0", Group.KIND_CPU, 1, [])]),
        ("tensorflow", "instance_group { kind: KIND_CPU }", [], [("m_0", Group.KIND_CPU, 2, [])]),
        ("onnxruntime", "instance_group { kind: KIND_MODEL }", [], [("m_0", Group.KIND_MODEL, 1, [])]),
        ("python", "instance_group { gpus: 1 }", [0, 1], [("m_0", Group.KIND_GPU, 1, [1])]),
        ("python", "instance_group { gpus: 0 gpus: 2 }", [0, 1], [("m_0", Group.KIND_CPU, 1, [0, 2])]),
        ("python", "instance_group { gpus: 0 }", [], [("m_0", Group.KIND_CPU, 1, [0])]),
        ("python", "instance_group { kind: KIND_GPU count: 2 }", [0, 1], [("m_0", Group.KIND_GPU, 2, [0, 1])]),
        ("python", "instance_group { kind: KIND_GPU }", [], [("m_0", Group.KIND_GPU, 1, [])]),
    ],
)
def test_instance_groups(backend: str, groups: str, gpu_ids: Sequence[int], expected: list[GroupRow]) -> None:
    config = config_of(f'name: "m" backend: "{backend}" {groups}')
    normalise_instance_groups(config, gpu_ids)
    assert [(group.name, group.kind, group.count, list(group.gpus)) for group in config.instance_group] == expected

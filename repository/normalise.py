"""Writes the defaults of a configuration into it, so that everybody after sees one form."""

from __future__ import annotations

from collections.abc import Sequence

from tritonpy.protos.generated import model_config_pb2
from tritonpy.repository.autofill import ENSEMBLE_PLATFORM

DEFAULT_SEQUENCE_IDLE_US = 1_000_000
# Backends that run two instances on a CPU unless told otherwise.
_TWO_ON_CPU = ("onnxruntime", "tensorflow")

Group = model_config_pb2.ModelInstanceGroup


def normalise(config: model_config_pb2.ModelConfig) -> None:
    """Write the defaults that depend on nothing outside the configuration."""
    if config.version_policy.WhichOneof("policy_choice") is None:
        config.version_policy.latest.num_versions = 1
    if config.HasField("dynamic_batching"):
        _default_preferred_size(config.dynamic_batching.preferred_batch_size, config.max_batch_size)
    if config.HasField("sequence_batching"):
        _normalise_sequence_batching(config)
    if config.platform != ENSEMBLE_PLATFORM:
        _normalise_pinned_memory(config.optimization)


def _default_preferred_size(preferred: Sequence[int], max_batch_size: int) -> None:
    if not preferred and max_batch_size > 0:
        preferred.append(max_batch_size)  # type: ignore[attr-defined]  # a protobuf repeated field


def _normalise_sequence_batching(config: model_config_pb2.ModelConfig) -> None:
    batching = config.sequence_batching
    batching.max_sequence_idle_microseconds = batching.max_sequence_idle_microseconds or DEFAULT_SEQUENCE_IDLE_US
    if batching.HasField("oldest"):
        _default_preferred_size(batching.oldest.preferred_batch_size, config.max_batch_size)


def _normalise_pinned_memory(optimization: model_config_pb2.ModelOptimizationPolicy) -> None:
    for field in ("input_pinned_memory", "output_pinned_memory"):
        if not optimization.HasField(field):
            getattr(optimization, field).enable = True


def normalise_instance_groups(config: model_config_pb2.ModelConfig, gpu_ids: Sequence[int]) -> None:
    """Resolve kind, count, devices and names of the instance groups. `gpu_ids` are the GPUs of this machine.

    The group that a configuration does not name is called like the model, named ones `<model>_<index>`.
    """
    if not config.instance_group:
        config.instance_group.add(name=config.name)
    for index, group in enumerate(config.instance_group):
        group.name = group.name or f"{config.name}_{index}"
        if group.kind == Group.KIND_AUTO:
            usable = gpu_ids and set(group.gpus) <= set(gpu_ids)
            group.kind = Group.KIND_GPU if usable else Group.KIND_CPU
        if group.count < 1:
            group.count = 2 if group.kind == Group.KIND_CPU and config.backend in _TWO_ON_CPU else 1
        if group.kind == Group.KIND_GPU and not group.gpus:
            group.gpus.extend(gpu_ids)

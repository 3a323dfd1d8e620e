"""The rules of instance groups, and the instances that they ask for."""

from __future__ import annotations

from collections.abc import Sequence

from tritonpy.backends.contract import DeviceKind, InstanceSpec
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.protos.generated import model_config_pb2

ModelConfig = model_config_pb2.ModelConfig
Group = model_config_pb2.ModelInstanceGroup
_KINDS = {Group.KIND_CPU: DeviceKind.CPU, Group.KIND_GPU: DeviceKind.GPU, Group.KIND_MODEL: DeviceKind.MODEL}


def validate_instances(config: ModelConfig, gpu_ids: Sequence[int]) -> None:
    """Check resolved instance groups against the GPUs of this machine; raises InvalidArgumentError."""
    if not config.instance_group:
        raise InvalidArgumentError(f"must specify one or more 'instance group's for {config.name}")
    for group in config.instance_group:
        head = f"instance group {group.name} of model {config.name}"
        if group.kind == Group.KIND_GPU:
            _check_gpus(group, head, gpu_ids)
        elif group.gpus:
            raise InvalidArgumentError(f"{head} has kind {Group.Kind.Name(group.kind)} but specifies one or more GPUs")
        if group.profile and config.platform != "tensorrt_plan":
            # The missing space is Triton's.
            raise InvalidArgumentError(
                f"{head} and platform {config.platform}specifies profile field which is only supported for TensorRT "
                "models"
            )


def _check_gpus(group: model_config_pb2.ModelInstanceGroup, head: str, gpu_ids: Sequence[int]) -> None:
    if not gpu_ids:
        raise InvalidArgumentError(f"{head} has kind KIND_GPU but no GPUs are available")
    for gpu in group.gpus:
        if gpu not in gpu_ids:
            usable = ", ".join(map(str, gpu_ids))
            raise InvalidArgumentError(
                f"{head} specifies invalid or unsupported gpu id {gpu}. GPUs available: {usable}"
            )


def instances(config: ModelConfig) -> list[InstanceSpec]:
    """Every instance that takes requests: `count` for each group, on each of its GPUs, named `<group>_<index>`.

    Passive groups get no work from a scheduler, so none is made for them; a model whose groups are all passive
    raises InvalidArgumentError.
    """
    placed = [
        (f"{group.name}_{index}", _KINDS[group.kind], device_id)
        for group in config.instance_group
        if not group.passive
        for device_id in (group.gpus or (0,))
        for index in range(group.count)
    ]
    if not placed:
        raise InvalidArgumentError(
            f"every instance group of model {config.name} is passive: nothing could run a request"
        )
    return [InstanceSpec(name, kind, device_id, len(placed)) for name, kind, device_id in placed]

"""Chooses the scheduler that a model configuration asks for."""

from __future__ import annotations

from tritonpy.backends.errors import UnsupportedError
from tritonpy.backends.signature import ModelSignature
from tritonpy.protos.generated import model_config_pb2
from tritonpy.scheduler.batching_policy import BatchingPolicy
from tritonpy.scheduler.compatibility import compatibility
from tritonpy.scheduler.default_scheduler import DefaultScheduler
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.response_order import ResponseOrder
from tritonpy.scheduler.scheduler import Scheduler


def make_scheduler(
    config: model_config_pb2.ModelConfig, signature: ModelSignature, hold_until_count: int = 0
) -> Scheduler:
    """The scheduler of one model version: the dynamic batcher if the configuration has `dynamic_batching`, the
    default scheduler if it names none.

    `hold_until_count` is the batcher's debugging aid TRITONSERVER_DELAY_SCHEDULER (0 = off). Raises
    UnsupportedError for a scheduler that does not exist here.
    """
    choice = config.WhichOneof("scheduling_choice")
    if choice is None:
        return DefaultScheduler()
    if choice == "dynamic_batching":
        policy = BatchingPolicy.from_config(config)
        return DynamicBatcher(policy, compatibility(signature), hold_until_count)
    raise UnsupportedError(
        f"model '{config.name}' asks for the scheduler '{choice}', which this server does not have. "
        "Use 'dynamic_batching' or none."
    )


def make_response_order(config: model_config_pb2.ModelConfig) -> ResponseOrder | None:
    """What keeps the responses of one model version in order, or None if they may leave as they come."""
    return ResponseOrder() if config.dynamic_batching.preserve_ordering else None

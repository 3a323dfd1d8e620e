"""Settings and situations that the tests of the dynamic batcher share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.scheduler.fakes import NS_PER_MS, Simulation, make_request
from tritonpy.backends.request import InferenceRequest
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos import datatypes
from tritonpy.scheduler.batching_policy import BatchingPolicy
from tritonpy.scheduler.compatibility import compatibility
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction

MAX_8 = BatchingPolicy(max_batch_size=8, preferred_sizes=frozenset({8}))
MAX_1 = BatchingPolicy()
THREE_LEVELS = replace(MAX_1, priority_levels=3, default_priority_level=2)
MAX_2 = BatchingPolicy(max_batch_size=2, preferred_sizes=frozenset({2}))
VARIABLE = TensorSpec("IN", datatypes.INT32, (-1,))


def preferring(*sizes: int, delay_ms: int = 0) -> BatchingPolicy:
    return replace(MAX_8, preferred_sizes=frozenset(sizes or {8}), delay_ns=delay_ms * NS_PER_MS)


def with_timeout(
    policy: BatchingPolicy, timeout_ms: int, action: TimeoutAction = TimeoutAction.REJECT
) -> BatchingPolicy:
    return replace(policy, default_queue_policy=QueuePolicy(action, timeout_ms * NS_PER_MS))


def requests(count: int, first: int = 0) -> list[InferenceRequest]:
    return [make_request(f"r{number}") for number in range(first, first + count)]


def names(first: int, last: int) -> list[str]:
    return [f"r{number}" for number in range(first, last + 1)]


def busy_at_first(policy: BatchingPolicy, *waiting: InferenceRequest, inputs: Sequence[TensorSpec] = ()) -> Simulation:
    """Runs r0 from 0 to 100 ms, lets `waiting` arrive at 50 ms, and plays to the end."""
    signature = ModelSignature(policy.max_batch_size, tuple(inputs), ())
    simulation = Simulation(DynamicBatcher(policy, compatibility(signature)), duration_ms=100)
    first_shapes = {"IN": (9,)} if inputs else None
    simulation.arrive(0, make_request("r0", shapes=first_shapes))
    simulation.arrive(50, *waiting)
    return simulation.run()

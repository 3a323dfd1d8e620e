"""The settings of a dynamic batcher, as the model configuration gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tritonpy.protos.generated import model_config_pb2
from tritonpy.scheduler.queue_policy import NS_PER_US, QueuePolicy


@dataclass(frozen=True, slots=True)
class BatchingPolicy:
    """Triton's `dynamic_batching`, with defaults filled in.

    `max_batch_size` is at least 1: a model without batching runs one request at a time. `preferred_sizes` is never
    empty. `delay_ns` is how long the oldest request of a batch waits for others (0 = not at all). Levels are
    numbered from 1, the most urgent; `priority_levels` 0 means that there is only one, numbered 0.
    """

    max_batch_size: int = 1
    preferred_sizes: frozenset[int] = frozenset({1})
    delay_ns: int = 0
    preserve_ordering: bool = False
    priority_levels: int = 0
    default_priority_level: int = 0
    default_queue_policy: QueuePolicy = field(default_factory=QueuePolicy)
    queue_policies: Mapping[int, QueuePolicy] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: model_config_pb2.ModelConfig) -> BatchingPolicy:
        """The policy of a model whose (valid) configuration has `dynamic_batching`. Without preferred sizes the
        only one is `max_batch_size`."""
        batching = config.dynamic_batching
        max_batch_size = max(1, config.max_batch_size)
        return cls(
            max_batch_size=max_batch_size,
            preferred_sizes=frozenset(batching.preferred_batch_size) or frozenset({max_batch_size}),
            delay_ns=batching.max_queue_delay_microseconds * NS_PER_US,
            preserve_ordering=batching.preserve_ordering,
            priority_levels=batching.priority_levels,
            default_priority_level=batching.default_priority_level if batching.priority_levels else 0,
            default_queue_policy=QueuePolicy.from_config(batching.default_queue_policy),
            queue_policies={
                level: QueuePolicy.from_config(policy) for level, policy in batching.priority_queue_policy.items()
            },
        )

    @property
    def largest_preferred_size(self) -> int:
        return max(self.preferred_sizes)

    def level(self, priority: int) -> int:
        """The level of a request with this `priority`: the default one if it names none, or one that is not there."""
        return priority if 0 < priority <= self.priority_levels else self.default_priority_level

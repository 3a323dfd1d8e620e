"""How long a request may wait in a queue, how many may, and what becomes of those that waited too long."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tritonpy.protos.generated import model_config_pb2

NS_PER_US = 1000


class TimeoutAction(enum.Enum):
    """What happens to a queued request whose timeout passed: it is refused, or it goes behind the others."""

    REJECT = enum.auto()
    DELAY = enum.auto()


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """Triton's `ModelQueuePolicy`. The default neither limits nor times out.

    `default_timeout_ns` is 0 for no timeout. `max_queue_size` limits the requests that wait in the queue (0 = no
    limit); those in a batch do not count.
    """

    timeout_action: TimeoutAction = TimeoutAction.REJECT
    default_timeout_ns: int = 0
    allow_timeout_override: bool = False
    max_queue_size: int = 0

    @classmethod
    def from_config(cls, message: model_config_pb2.ModelQueuePolicy) -> QueuePolicy:
        """The policy in a model configuration."""
        delay = message.timeout_action == model_config_pb2.ModelQueuePolicy.DELAY
        return cls(
            timeout_action=TimeoutAction.DELAY if delay else TimeoutAction.REJECT,
            default_timeout_ns=message.default_timeout_microseconds * NS_PER_US,
            allow_timeout_override=message.allow_timeout_override,
            max_queue_size=message.max_queue_size,
        )

    def expiry_ns(self, request_timeout_us: int, now_ns: int) -> int:
        """When a request that arrives now has waited too long; 0 = never.

        A request's own timeout counts only with `allow_timeout_override`, and only if it is shorter than the
        default: where the default is "none", nothing is.
        """
        timeout_ns = self.default_timeout_ns
        request_timeout_ns = request_timeout_us * NS_PER_US
        if self.allow_timeout_override and 0 < request_timeout_ns < timeout_ns:
            timeout_ns = request_timeout_ns
        return now_ns + timeout_ns if timeout_ns else 0

    def is_full(self, waiting_count: int) -> bool:
        """Whether a queue with `waiting_count` requests takes no more."""
        return 0 < self.max_queue_size <= waiting_count

"""The dynamic batcher: merges requests that wait at the same time into one batch.

A batch is formed at the moment when an instance can take it, from the front of the queue and without gaps: a
request that does not fit closes the batch and starts the next one. (Triton forms batches ahead of idle instances
when the queue has no policy; formed later they are rarely smaller, and a queued request can be cancelled until it
runs.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tritonpy.backends.request import InferenceRequest
from tritonpy.scheduler.batching_policy import BatchingPolicy
from tritonpy.scheduler.compatibility import Compatibility, always_compatible
from tritonpy.scheduler.priority_queue import PriorityQueue, QueuedRequest
from tritonpy.scheduler.scheduler import Dropped, QueueStatistics


@dataclass(slots=True)
class _Front:
    """What a scan found at the front of the queue: requests that could run together.

    The first `preferred_count` of them (0 = none) are as many as a preferred size can be made of. `is_closed` when
    the next waiting request cannot join them.
    """

    requests: list[QueuedRequest] = field(default_factory=list)
    batch_size: int = 0
    preferred_count: int = 0
    is_closed: bool = False
    cancelled: list[QueuedRequest] = field(default_factory=list)


class DynamicBatcher:
    """Triton's `dynamic_batching` for the requests of one model version.

    `hold_until_count` keeps everything back until that many requests have waited at once, and then has no effect
    any more (Triton's debugging aid TRITONSERVER_DELAY_SCHEDULER).
    """

    def __init__(
        self,
        policy: BatchingPolicy,
        compatibility: Compatibility = always_compatible,
        hold_until_count: int = 0,
    ) -> None:
        self._policy = policy
        self._largest_preferred_size = policy.largest_preferred_size
        self._queue = PriorityQueue(
            policy.default_queue_policy, policy.queue_policies, policy.default_priority_level, compatibility
        )
        self._hold_until_count = hold_until_count
        self._send_at_ns: int | None = None

    @property
    def waiting_count(self) -> int:
        return len(self._queue)

    def enqueue(self, request: InferenceRequest, now_ns: int) -> None:
        self._queue.add(request, self._policy.level(request.priority), now_ns)
        if len(self._queue) >= self._hold_until_count:
            self._hold_until_count = 0

    def next_batch(self, now_ns: int) -> list[InferenceRequest]:
        self._send_at_ns = None
        if self._hold_until_count:
            return []
        self._queue.sweep(now_ns)
        front = self._scan()
        self._queue.cancel(front.cancelled)
        chosen = front.requests[: self._count_to_send(front, now_ns)]
        for queued in chosen:
            self._queue.remove(queued)
        return [queued.request for queued in chosen]

    def take_dropped(self, now_ns: int) -> list[Dropped]:
        if self._send_at_ns is not None and self._send_at_ns <= now_ns:
            self._send_at_ns = None  # the driver is awake; an instance that turns idle later will ask by itself
        return self._queue.take_dropped(now_ns)

    def wakeup_ns(self) -> int | None:
        sweep_at_ns = self._queue.wakeup_ns()
        if self._send_at_ns is None or sweep_at_ns is None:
            return self._send_at_ns if sweep_at_ns is None else sweep_at_ns
        return min(self._send_at_ns, sweep_at_ns)

    def drain(self) -> list[InferenceRequest]:
        return self._queue.drain()

    def statistics(self, now_ns: int) -> QueueStatistics:
        return self._queue.statistics(now_ns)

    def _scan(self) -> _Front:
        """Collect requests from the front of the queue until one does not fit."""
        front = _Front()
        for queued in self._queue:
            if queued.request.cancelled:
                front.cancelled.append(queued)
                continue
            size = front.batch_size + queued.batch_size
            if front.requests:
                if size > self._largest_preferred_size and not front.preferred_count:
                    # No preferred size can be reached exactly: what is there is the best there will be.
                    front.preferred_count = len(front.requests)
                fits = size <= self._policy.max_batch_size
                if not fits or queued.compatibility != front.requests[0].compatibility:
                    front.is_closed = True
                    break
            front.requests.append(queued)
            front.batch_size = size
            if size in self._policy.preferred_sizes:
                front.preferred_count = len(front.requests)
        return front

    def _count_to_send(self, front: _Front, now_ns: int) -> int:
        """How many of the requests at the front to run now; if none yet, sets the time when to ask again."""
        if not front.requests:
            return 0
        delay_ns = self._policy.delay_ns
        send_at_ns = delay_ns and delay_ns + min(queued.enqueued_ns for queued in front.requests)
        is_due = send_at_ns <= now_ns
        if front.preferred_count and not (delay_ns and is_due):
            return front.preferred_count
        if is_due or front.is_closed or front.batch_size >= self._largest_preferred_size:
            return len(front.requests)
        self._send_at_ns = send_at_ns
        return 0

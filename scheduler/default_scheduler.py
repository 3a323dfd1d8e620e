"""The scheduler of models without a batcher: first come, first served, one request at a time."""

from __future__ import annotations

from tritonpy.backends.request import InferenceRequest
from tritonpy.scheduler.priority_queue import PriorityQueue
from tritonpy.scheduler.queue_policy import QueuePolicy
from tritonpy.scheduler.scheduler import Dropped, QueueStatistics


class DefaultScheduler:
    """Triton's default scheduler: a FIFO of any length that never merges requests, whatever `max_batch_size` says;
    `priority` and `timeout` of requests mean nothing to it.

    Unlike Triton it does not run what nobody waits for: a request that was cancelled, or whose client's deadline
    has passed, is dropped.
    """

    def __init__(self) -> None:
        self._queue = PriorityQueue(QueuePolicy())

    @property
    def waiting_count(self) -> int:
        return len(self._queue)

    def enqueue(self, request: InferenceRequest, now_ns: int) -> None:
        self._queue.add(request, 0, now_ns)

    def next_batch(self, now_ns: int) -> list[InferenceRequest]:
        self._queue.sweep(now_ns)
        first = self._queue.first()
        if first is None:
            return []
        self._queue.remove(first)
        return [first.request]

    def take_dropped(self, now_ns: int) -> list[Dropped]:
        return self._queue.take_dropped(now_ns)

    def wakeup_ns(self) -> int | None:
        return self._queue.wakeup_ns()

    def drain(self) -> list[InferenceRequest]:
        return self._queue.drain()

    def statistics(self, now_ns: int) -> QueueStatistics:
        return self._queue.statistics(now_ns)

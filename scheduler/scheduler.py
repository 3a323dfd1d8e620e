"""What every scheduler is: a queue that decides which requests run together and when.

Schedulers are plain objects without I/O, threads or clock. Time goes in as `now_ns` (`time.monotonic_ns`, never
decreasing); batches, dropped requests and the next time to call come out. One driver per scheduler connects it to
the loop's timers and to the instances:

    on arrival, on cancellation, when an instance becomes idle, and at wakeup_ns():
        while an instance is idle and next_batch(now) gives a batch: run it
        answer take_dropped(now)
        set the timer to wakeup_ns()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tritonpy.backends.errors import TritonpyError
from tritonpy.backends.request import InferenceRequest
from tritonpy.scheduler.statistics import FailureReason


@dataclass(frozen=True, slots=True)
class Dropped:
    """A request that left the queue without being run: what to answer it, and what to count it as."""

    request: InferenceRequest
    error: TritonpyError
    reason: FailureReason


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """The state of a queue: requests waiting now, the most that ever waited at once, how long the oldest waiting
    one has waited (0 if none waits), and how many were refused since the start because the queue was full (the
    model statistics do not count those)."""

    waiting: int
    peak: int
    oldest_age_ns: int
    refused: int


class Scheduler(Protocol):
    """Decides what runs next. Every request that was accepted comes out exactly once: in a batch, as dropped, or
    from `drain`."""

    @property
    def waiting_count(self) -> int:
        """Requests that are queued, not yet in a batch."""

    def enqueue(self, request: InferenceRequest, now_ns: int) -> None:
        """Accept a request; stamps `queue_start_ns` unless an outer scheduler did.

        Raises UnavailableError when the queue is full. A refused request is the caller's to answer and counts in
        no model statistics.
        """

    def next_batch(self, now_ns: int) -> list[InferenceRequest]:
        """Take the requests to run next on an idle instance, in order. Call it only while one is idle; an empty
        list means that nothing is to be sent before the next arrival or `wakeup_ns`."""

    def take_dropped(self, now_ns: int) -> list[Dropped]:
        """Take the requests that have expired or whose client gave up; call it after `next_batch`, which finds
        some of them."""

    def wakeup_ns(self) -> int | None:
        """When to call `next_batch` (if an instance is idle) and `take_dropped` again although nothing arrives;
        None for never, a time in the past for now."""

    def drain(self) -> list[InferenceRequest]:
        """Take every waiting request, in order of arrival, when no instance will ever run them."""

    def statistics(self, now_ns: int) -> QueueStatistics:
        """The state of the queue."""

"""A dynamic batcher written straight from the text of the rules: lists, full scans, asked at every tick.

Nothing of it is shared with the real one; it knows no timers (it asks to be called again at the next tick as long as
anything waits), so comparing the two also checks when the real one asks to be woken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tritonpy.backends.errors import CancelledError, UnavailableError
from tritonpy.backends.request import InferenceRequest
from tritonpy.scheduler.batching_policy import BatchingPolicy
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction
from tritonpy.scheduler.scheduler import Dropped, QueueStatistics
from tritonpy.scheduler.statistics import FailureReason


@dataclass(eq=False)
class Record:
    request: InferenceRequest
    level: int
    arrived_ns: int
    expires_ns: int | None
    delayed_at_ns: int | None = None

    @property
    def size(self) -> int:
        return self.request.batch_size

    @property
    def shape(self) -> tuple[int, ...]:
        return self.request.inputs["IN"].shape[1:]


@dataclass
class ReferenceBatcher:
    policy: BatchingPolicy
    tick_ns: int
    waiting: list[Record] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    refused: int = 0
    peak: int = 0
    now_ns: int = 0

    # The rules.

    def level_policy(self, level: int) -> QueuePolicy:
        return self.policy.queue_policies.get(level, self.policy.default_queue_policy)

    def enqueue(self, request: InferenceRequest, now_ns: int) -> None:
        self.apply_policies(now_ns)
        level = request.priority
        if level == 0 or level > self.policy.priority_levels:
            level = self.policy.default_priority_level
        policy = self.level_policy(level)
        same_level = [record for record in self.waiting if record.level == level]
        if policy.max_queue_size > 0 and len(same_level) >= policy.max_queue_size:
            self.refused += 1
            raise UnavailableError(f"[request id: {request.id}] Exceeds maximum queue size")
        timeout_ns = policy.default_timeout_ns
        if policy.allow_timeout_override and 0 < request.timeout_us * 1000 < timeout_ns:
            timeout_ns = request.timeout_us * 1000
        expires_ns = now_ns + timeout_ns if timeout_ns else None
        self.waiting.append(Record(request, level, now_ns, expires_ns))
        self.peak = max(self.peak, len(self.waiting))

    def in_order(self) -> list[Record]:
        """Level ascending; inside a level the healthy in order of arrival, then the delayed in order of delay."""
        arrival = {record: number for number, record in enumerate(self.waiting)}

        def key(record: Record) -> tuple[int, bool, int, int]:
            return (record.level, record.delayed_at_ns is not None, record.delayed_at_ns or 0, arrival[record])

        return sorted(self.waiting, key=key)

    def apply_policies(self, now_ns: int) -> None:
        for record in list(self.waiting):
            client_ns = record.request.deadline_ns or None
            expired = record.expires_ns is not None and record.expires_ns <= now_ns
            given_up = client_ns is not None and client_ns <= now_ns
            if (expired and record.request.cancelled) or given_up:
                self.drop_cancelled(record)
            elif expired and self.level_policy(record.level).timeout_action is TimeoutAction.REJECT:
                self.waiting.remove(record)
                error = UnavailableError("Request timeout expired")
                self.dropped.append(Dropped(record.request, error, FailureReason.REJECTED))
            elif expired:
                record.delayed_at_ns, record.expires_ns = record.expires_ns, None
        while self.waiting and self.in_order()[0].request.cancelled:
            self.drop_cancelled(self.in_order()[0])

    def drop_cancelled(self, record: Record) -> None:
        self.waiting.remove(record)
        self.dropped.append(Dropped(record.request, CancelledError(""), FailureReason.CANCELED))

    def next_batch(self, now_ns: int) -> list[InferenceRequest]:
        self.apply_policies(now_ns)
        pending: list[Record] = []
        best: list[Record] = []
        send_now = False
        largest = max(self.policy.preferred_sizes)
        for record in self.in_order():
            total = sum(member.size for member in pending)
            if record.request.cancelled:
                self.drop_cancelled(record)
                continue
            if pending:
                if total + record.size > largest and not best:
                    best = list(pending)
                if total + record.size > self.policy.max_batch_size or record.shape != pending[0].shape:
                    send_now = True
                    break
            pending.append(record)
            if total + record.size in self.policy.preferred_sizes:
                best = list(pending)
        if not pending:
            return []
        age_ns = now_ns - min(record.arrived_ns for record in pending)
        over = self.policy.delay_ns != 0 and age_ns >= self.policy.delay_ns
        if best and not over:
            return self.send(best)
        reached = sum(record.size for record in pending) >= largest
        if send_now or reached or over or self.policy.delay_ns == 0:
            return self.send(pending)
        return []

    def send(self, batch: list[Record]) -> list[InferenceRequest]:
        for record in batch:
            self.waiting.remove(record)
        return [record.request for record in batch]

    # The rest of what a scheduler has.

    @property
    def waiting_count(self) -> int:
        return len(self.waiting)

    def take_dropped(self, now_ns: int) -> list[Dropped]:
        self.apply_policies(now_ns)
        self.now_ns = now_ns
        taken, self.dropped = self.dropped, []
        return taken

    def wakeup_ns(self) -> int | None:
        return self.now_ns + self.tick_ns if self.waiting else None

    def drain(self) -> list[InferenceRequest]:
        return self.send(self.in_order())

    def statistics(self, now_ns: int) -> QueueStatistics:
        oldest_ns = min((record.arrived_ns for record in self.waiting), default=now_ns)
        return QueueStatistics(len(self.waiting), self.peak, now_ns - oldest_ns, self.refused)

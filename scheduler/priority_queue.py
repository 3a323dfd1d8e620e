"""The queue of a scheduler: levels, their policies, and what leaves without being run.

The order of dispatch is that of Triton's dynamic batcher: level by level, the smallest number first; inside a level
the requests in order of arrival, then those that were delayed because their timeout passed.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tritonpy.backends.errors import CancelledError, UnavailableError
from tritonpy.backends.request import InferenceRequest
from tritonpy.scheduler.compatibility import Compatibility, always_compatible
from tritonpy.scheduler.deadlines import Deadlines
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction
from tritonpy.scheduler.scheduler import Dropped, QueueStatistics
from tritonpy.scheduler.statistics import FailureReason


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A waiting request. `number` counts arrivals, `expires_ns` is when the queue's timeout passes (0 = never)."""

    request: InferenceRequest
    number: int
    level: int
    enqueued_ns: int
    expires_ns: int
    batch_size: int
    compatibility: Hashable

    @property
    def deadline_ns(self) -> int:
        """When something has to happen to it: the queue's timeout or the end of the client's patience; 0 = never."""
        client_ns = self.request.deadline_ns
        if self.expires_ns and client_ns:
            return min(self.expires_ns, client_ns)
        return self.expires_ns or client_ns


class _Level:
    """One priority level. Linked by number, so that a request can leave from the middle in O(1)."""

    __slots__ = ("delayed", "live", "policy")

    def __init__(self, policy: QueuePolicy) -> None:
        self.policy = policy
        self.live: OrderedDict[int, QueuedRequest] = OrderedDict()
        self.delayed: OrderedDict[int, QueuedRequest] = OrderedDict()

    def __len__(self) -> int:
        return len(self.live) + len(self.delayed)

    def __iter__(self) -> Iterator[QueuedRequest]:
        yield from self.live.values()
        yield from self.delayed.values()

    def first(self) -> QueuedRequest:
        return next(iter((self.live or self.delayed).values()))

    def oldest_ns(self) -> int:
        """When the oldest request of the level, which is not empty, arrived. Looks at all delayed ones, as they
        are not in order of arrival."""
        return min(queued.enqueued_ns for queued in (self.first(), *self.delayed.values()))

    def remove(self, number: int) -> None:
        if self.live.pop(number, None) is None:
            del self.delayed[number]


class PriorityQueue:
    """Waiting requests in order of dispatch; iterating gives them.

    Levels named in `policies` and `default_level` exist always, others while they have requests, with
    `default_policy`. A request leaves through `remove` (to run), or is dropped: as rejected when its timeout passes
    at a level that rejects, as cancelled when the client's deadline passes, when `sweep` finds it cancelled at the
    front, or when whoever iterates finds it cancelled and says so.
    """

    def __init__(
        self,
        default_policy: QueuePolicy,
        policies: Mapping[int, QueuePolicy] | None = None,
        default_level: int = 0,
        compatibility: Compatibility = always_compatible,
    ) -> None:
        self._default_policy = default_policy
        self._policies = {default_level: default_policy, **(policies or {})}
        self._compatibility = compatibility
        self._levels = {level: _Level(policy) for level, policy in self._policies.items()}
        self._order = sorted(self._levels)
        self._deadlines: Deadlines[QueuedRequest] = Deadlines()
        self._dropped: list[Dropped] = []
        self._arrivals = 0
        self._count = 0
        self._peak = 0
        self._refused = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[QueuedRequest]:
        for level in self._order:
            yield from self._levels[level]

    def first(self) -> QueuedRequest | None:
        """The request that is next in the order, None if none waits."""
        for number in self._order:
            level = self._levels[number]
            if level:
                return level.first()
        return None

    def add(self, request: InferenceRequest, level_number: int, now_ns: int) -> None:
        """Queue a request at the end of a level. Raises UnavailableError if that level is full."""
        self.sweep(now_ns)
        level = self._level(level_number)
        if level.policy.is_full(len(level)):
            self._refused += 1
            raise UnavailableError(f"{request.id_prefix}Exceeds maximum queue size")
        request.queue_start_ns = request.queue_start_ns or now_ns
        queued = QueuedRequest(
            request,
            self._arrivals,
            level_number,
            enqueued_ns=now_ns,
            expires_ns=level.policy.expiry_ns(request.timeout_us, now_ns),
            batch_size=max(1, request.batch_size),
            compatibility=self._compatibility(request),
        )
        level.live[queued.number] = queued
        self._add_deadline(queued)
        self._arrivals += 1
        self._count += 1
        self._peak = max(self._peak, self._count)

    def remove(self, queued: QueuedRequest) -> None:
        """Take a request out, to run it."""
        level = self._levels[queued.level]
        level.remove(queued.number)
        self._deadlines.discard(queued.number)
        self._count -= 1
        if not level and queued.level not in self._policies:
            del self._levels[queued.level]
            self._order.remove(queued.level)

    def cancel(self, found: Iterable[QueuedRequest]) -> None:
        """Drop requests whose client gave up."""
        for queued in found:
            self.remove(queued)
            self._dropped.append(Dropped(queued.request, CancelledError(""), FailureReason.CANCELED))

    def sweep(self, now_ns: int) -> None:
        """Drop or delay everything whose time is over, wherever it waits, and drop what is cancelled at the front."""
        while (passed := self._deadlines.pop_passed(now_ns)) is not None:
            self._expire(*passed)
        while (first := self.first()) is not None and first.request.cancelled:
            self.cancel([first])

    def take_dropped(self, now_ns: int) -> list[Dropped]:
        """Sweep, and take what has been dropped since the last call, in that order."""
        self.sweep(now_ns)
        dropped, self._dropped = self._dropped, []
        return dropped

    def wakeup_ns(self) -> int | None:
        """When to sweep again: the earliest deadline, or 0 if there are dropped requests to take."""
        return 0 if self._dropped else self._deadlines.earliest_ns()

    def drain(self) -> list[InferenceRequest]:
        """Take everything that waits, in order."""
        waiting = list(self)
        for queued in waiting:
            self.remove(queued)
        return [queued.request for queued in waiting]

    def statistics(self, now_ns: int) -> QueueStatistics:
        """The state of the queue."""
        oldest_ns = min((level.oldest_ns() for level in self._levels.values() if level), default=now_ns)
        return QueueStatistics(self._count, self._peak, now_ns - oldest_ns, self._refused)

    def _level(self, number: int) -> _Level:
        level = self._levels.get(number)
        if level is None:
            level = self._levels[number] = _Level(self._default_policy)
            insort(self._order, number)
        return level

    def _add_deadline(self, queued: QueuedRequest) -> None:
        deadline_ns = queued.deadline_ns
        if deadline_ns:
            self._deadlines.add(queued.number, queued, deadline_ns)

    def _expire(self, deadline_ns: int, queued: QueuedRequest) -> None:
        level = self._levels[queued.level]
        if queued.request.cancelled or deadline_ns == queued.request.deadline_ns:
            self.cancel([queued])
        elif level.policy.timeout_action is TimeoutAction.REJECT:
            self.remove(queued)
            error = UnavailableError("Request timeout expired")
            self._dropped.append(Dropped(queued.request, error, FailureReason.REJECTED))
        else:
            level.delayed[queued.number] = level.live.pop(queued.number)
            queued.expires_ns = 0
            self._add_deadline(queued)

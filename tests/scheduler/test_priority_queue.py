"""Levels, limits, timeouts and cancellation in the queue."""

from __future__ import annotations

import pytest

from tests.scheduler.fakes import make_request
from tritonpy.backends.errors import Kind, UnavailableError
from tritonpy.backends.request import InferenceRequest
from tritonpy.scheduler.priority_queue import PriorityQueue
from tritonpy.scheduler.queue_policy import QueuePolicy, TimeoutAction
from tritonpy.scheduler.scheduler import QueueStatistics
from tritonpy.scheduler.statistics import FailureReason

REJECT = QueuePolicy(default_timeout_ns=100, allow_timeout_override=True)
DELAY = QueuePolicy(TimeoutAction.DELAY, default_timeout_ns=100, allow_timeout_override=True)


def ids(queue: PriorityQueue) -> list[str]:
    return [queued.request.id for queued in queue]


def dropped(queue: PriorityQueue, now_ns: int) -> list[tuple[str, FailureReason]]:
    return [(entry.request.id, entry.reason) for entry in queue.take_dropped(now_ns)]


def with_timeout(request_id: str, timeout_ns: int) -> InferenceRequest:
    assert timeout_ns % 1000 == 0
    return make_request(request_id, timeout_us=timeout_ns // 1000)


def test_levels_go_from_the_smallest_number_and_arrivals_in_order() -> None:
    queue = PriorityQueue(QueuePolicy(), default_level=2)
    for name, level in (("a", 3), ("b", 1), ("c", 2), ("d", 1), ("e", 3)):
        queue.add(make_request(name), level, 0)
    assert ids(queue) == ["b", "d", "c", "a", "e"]
    first = queue.first()
    assert first is not None
    assert first.request.id == "b"


def test_a_level_without_a_policy_of_its_own_does_not_stay_behind() -> None:
    queue = PriorityQueue(QueuePolicy(), {5: QueuePolicy()}, default_level=1)
    for level in range(1, 1000):
        queue.add(make_request(), level, 0)
        for queued in list(queue):
            queue.remove(queued)
    assert queue._order == [1, 5]


def test_the_size_limit_is_per_level_and_counts_only_what_waits() -> None:
    queue = PriorityQueue(QueuePolicy(max_queue_size=1), {3: QueuePolicy(max_queue_size=2)}, default_level=1)
    queue.add(make_request("a"), 1, 0)
    queue.add(make_request("b"), 2, 0)
    queue.add(make_request("c"), 3, 0)
    queue.add(make_request("d"), 3, 0)
    for level in (1, 2, 3):
        with pytest.raises(UnavailableError) as failure:
            queue.add(make_request("x"), level, 0)
        assert failure.value.message == "[request id: x] Exceeds maximum queue size"
    queue.remove(next(iter(queue)))
    queue.add(make_request("e"), 1, 0)
    assert queue.statistics(0) == QueueStatistics(waiting=4, peak=4, oldest_age_ns=0, refused=3)


def test_a_request_without_id_is_named_so_when_refused() -> None:
    queue = PriorityQueue(QueuePolicy(max_queue_size=1))
    queue.add(make_request(), 0, 0)
    with pytest.raises(UnavailableError, match=r"^\[request id: <id_unknown>\] Exceeds maximum queue size$"):
        queue.add(make_request(""), 0, 0)


def test_delayed_requests_count_towards_the_limit_and_expired_ones_do_not() -> None:
    delaying = PriorityQueue(QueuePolicy(TimeoutAction.DELAY, 100, max_queue_size=1))
    delaying.add(make_request("a"), 0, 0)
    with pytest.raises(UnavailableError):
        delaying.add(make_request("b"), 0, 150)
    rejecting = PriorityQueue(QueuePolicy(TimeoutAction.REJECT, 100, max_queue_size=1))
    rejecting.add(make_request("a"), 0, 0)
    rejecting.add(make_request("b"), 0, 150)
    assert dropped(rejecting, 150) == [("a", FailureReason.REJECTED)]


def test_a_rejected_request_gets_tritons_words() -> None:
    queue = PriorityQueue(REJECT)
    queue.add(make_request("a"), 0, 0)
    assert queue.take_dropped(99) == []
    (entry,) = queue.take_dropped(100)
    assert (entry.error.kind, entry.error.message) == (Kind.UNAVAILABLE, "Request timeout expired")
    assert entry.reason is FailureReason.REJECTED
    assert len(queue) == 0


def test_a_cancelled_request_gets_an_empty_message() -> None:
    queue = PriorityQueue(QueuePolicy())
    request = make_request("a")
    queue.add(request, 0, 0)
    request.cancel()
    (entry,) = queue.take_dropped(0)
    assert (entry.error.kind, entry.error.message, entry.reason) == (
        Kind.CANCELLED,
        "",
        FailureReason.CANCELED,
    )


def test_timeouts_are_noticed_in_the_middle_of_the_queue_in_order_of_time() -> None:
    queue = PriorityQueue(QueuePolicy(default_timeout_ns=100_000, allow_timeout_override=True))
    for name, timeout_ns in (("a", 0), ("b", 9_000), ("c", 0), ("d", 5_000)):
        queue.add(with_timeout(name, timeout_ns), 0, 0)
    assert queue.wakeup_ns() == 5_000
    assert dropped(queue, 9_000) == [("d", FailureReason.REJECTED), ("b", FailureReason.REJECTED)]
    assert ids(queue) == ["a", "c"]
    assert queue.wakeup_ns() == 100_000


def test_delayed_requests_go_behind_their_level_but_before_the_next_and_never_expire() -> None:
    queue = PriorityQueue(QueuePolicy(), {1: DELAY}, default_level=1)
    queue.add(make_request("old"), 1, 0)
    queue.add(make_request("low"), 2, 0)
    queue.add(make_request("new"), 1, 50)
    queue.sweep(100)
    assert ids(queue) == ["new", "old", "low"]
    queue.sweep(150)
    assert ids(queue) == ["old", "new", "low"]
    assert queue.take_dropped(10**9) == []
    assert queue.wakeup_ns() is None
    assert queue.statistics(200) == QueueStatistics(waiting=3, peak=3, oldest_age_ns=200, refused=0)


def test_the_front_is_the_oldest_request_that_is_not_delayed() -> None:
    queue = PriorityQueue(DELAY)
    delayed, first = make_request("delayed"), make_request("first")
    queue.add(delayed, 0, 0)
    queue.add(first, 0, 50)
    queue.sweep(100)
    delayed.cancel()
    assert dropped(queue, 100) == []
    first.cancel()
    assert dropped(queue, 100) == [("first", FailureReason.CANCELED), ("delayed", FailureReason.CANCELED)]


def test_the_age_is_that_of_the_oldest_even_where_a_younger_one_was_delayed_before() -> None:
    queue = PriorityQueue(QueuePolicy(TimeoutAction.DELAY, 100_000, allow_timeout_override=True))
    queue.add(make_request("old"), 0, 0)
    queue.add(with_timeout("young", 5_000), 0, 10)
    queue.add(make_request("live"), 0, 20)
    queue.sweep(100_000)
    assert ids(queue) == ["live", "young", "old"]
    assert queue.statistics(100_000).oldest_age_ns == 100_000


def test_a_delayed_request_can_still_be_cancelled_and_reach_its_clients_deadline() -> None:
    queue = PriorityQueue(DELAY)
    cancelled, impatient = make_request("cancelled"), make_request("impatient", deadline_ns=300)
    queue.add(cancelled, 0, 0)
    queue.add(impatient, 0, 0)
    queue.sweep(100)
    cancelled.cancel()
    assert dropped(queue, 100) == [("cancelled", FailureReason.CANCELED)]
    assert queue.wakeup_ns() == 300
    assert dropped(queue, 300) == [("impatient", FailureReason.CANCELED)]


@pytest.mark.parametrize(
    ("client_deadline_ns", "reason"),
    [(50, FailureReason.CANCELED), (100, FailureReason.CANCELED), (101, FailureReason.REJECTED)],
)
def test_the_earlier_of_queue_timeout_and_client_deadline_decides_however_late_one_looks(
    client_deadline_ns: int, reason: FailureReason
) -> None:
    queue = PriorityQueue(REJECT)
    queue.add(make_request("a", deadline_ns=client_deadline_ns), 0, 0)
    assert dropped(queue, 10_000) == [("a", reason)]


def test_a_cancelled_request_that_expires_counts_as_cancelled() -> None:
    queue = PriorityQueue(QueuePolicy(default_timeout_ns=100_000, allow_timeout_override=True))
    request = with_timeout("b", 5_000)
    queue.add(make_request("a"), 0, 0)
    queue.add(request, 0, 0)
    request.cancel()
    assert dropped(queue, 4_999) == []
    assert dropped(queue, 5_000) == [("b", FailureReason.CANCELED)]


def test_dropped_requests_ask_to_be_taken_at_once() -> None:
    queue = PriorityQueue(REJECT)
    queue.add(make_request("a"), 0, 0)
    queue.sweep(100)
    assert queue.wakeup_ns() == 0
    queue.take_dropped(100)
    assert queue.wakeup_ns() is None


def test_a_request_that_left_is_not_held_by_its_deadline() -> None:
    queue = PriorityQueue(REJECT)
    queue.add(make_request("a", deadline_ns=50), 0, 0)
    first = queue.first()
    assert first is not None
    queue.remove(first)
    assert queue.wakeup_ns() is None
    assert queue.take_dropped(1000) == []

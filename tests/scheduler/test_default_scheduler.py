"""The default scheduler on a fake clock."""

from __future__ import annotations

from tests.scheduler.fakes import NS_PER_MS, Drop, Simulation, make_request
from tritonpy.scheduler.default_scheduler import DefaultScheduler
from tritonpy.scheduler.scheduler import QueueStatistics
from tritonpy.scheduler.statistics import FailureReason


def test_runs_requests_alone_in_order_of_arrival_whatever_priority_and_timeout_say() -> None:
    simulation = Simulation(DefaultScheduler(), duration_ms=150)
    for number, priority in enumerate((3, 2, 1)):
        simulation.arrive(0, make_request(f"r{number}", 2, priority=priority, timeout_us=1000))
    simulation.run()
    assert simulation.batches == [["r0"], ["r1"], ["r2"]]
    assert simulation.starts_ms == [0, 150, 300]
    assert simulation.drops == []


def test_every_idle_instance_takes_the_next_request() -> None:
    simulation = Simulation(DefaultScheduler(), duration_ms=300, instance_count=2)
    simulation.arrive(0, *(make_request(f"r{number}") for number in range(4)))
    simulation.run()
    assert [(run.start_ms, run.instance) for run in simulation.runs] == [(0, 0), (0, 1), (300, 0), (300, 1)]


def test_a_cancelled_request_is_dropped_before_it_runs() -> None:
    simulation = Simulation(DefaultScheduler(), duration_ms=100)
    cancelled = make_request("r1")
    simulation.arrive(0, make_request("r0"), cancelled, make_request("r2"))
    simulation.cancel(40, cancelled)
    simulation.run()
    assert simulation.batches == [["r0"], ["r2"]]
    assert simulation.drops == [Drop(40, "r1", "", FailureReason.CANCELED)]


def test_a_cancelled_request_behind_others_is_dropped_when_it_comes_to_the_front() -> None:
    simulation = Simulation(DefaultScheduler(), duration_ms=100)
    cancelled = make_request("r2")
    simulation.arrive(0, make_request("r0"), make_request("r1"), cancelled)
    simulation.cancel(40, cancelled)
    simulation.run()
    assert simulation.batches == [["r0"], ["r1"]]
    assert simulation.drops == [Drop(100, "r2", "", FailureReason.CANCELED)]


def test_a_request_is_dropped_at_its_clients_deadline_wherever_it_waits() -> None:
    simulation = Simulation(DefaultScheduler(), duration_ms=100)
    impatient = make_request("r2", deadline_ns=70 * NS_PER_MS)
    simulation.arrive(0, make_request("r0"), make_request("r1"), impatient)
    simulation.run()
    assert simulation.batches == [["r0"], ["r1"]]
    assert simulation.drops == [Drop(70, "r2", "", FailureReason.CANCELED)]


def test_a_deadline_in_the_past_drops_at_once() -> None:
    scheduler = DefaultScheduler()
    scheduler.enqueue(make_request(deadline_ns=5), 10)
    assert scheduler.next_batch(10) == []
    assert len(scheduler.take_dropped(10)) == 1


def test_stamps_the_begin_of_queueing_once() -> None:
    scheduler = DefaultScheduler()
    request, stamped = make_request("r0"), make_request("r1")
    stamped.queue_start_ns = 3
    scheduler.enqueue(request, 10)
    scheduler.enqueue(stamped, 10)
    assert (request.queue_start_ns, stamped.queue_start_ns) == (10, 3)


def test_statistics_tell_waiting_peak_and_age() -> None:
    scheduler = DefaultScheduler()
    assert scheduler.statistics(7) == QueueStatistics(waiting=0, peak=0, oldest_age_ns=0, refused=0)
    scheduler.enqueue(make_request("r0"), 10)
    scheduler.enqueue(make_request("r1"), 30)
    scheduler.next_batch(40)
    assert scheduler.statistics(50) == QueueStatistics(waiting=1, peak=2, oldest_age_ns=20, refused=0)
    assert scheduler.waiting_count == 1


def test_nothing_waits_no_wakeup() -> None:
    scheduler = DefaultScheduler()
    assert scheduler.next_batch(0) == []
    assert scheduler.wakeup_ns() is None


def test_drain_gives_everything_in_order() -> None:
    scheduler = DefaultScheduler()
    requests = [make_request(f"r{number}", deadline_ns=100) for number in range(3)]
    for request in requests:
        scheduler.enqueue(request, 0)
    assert scheduler.drain() == requests
    assert scheduler.next_batch(200) == []
    assert scheduler.take_dropped(200) == []

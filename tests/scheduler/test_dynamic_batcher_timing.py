"""When the dynamic batcher sends a batch, and in which order responses leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.scheduler.batcher_cases import (
    MAX_1,
    VARIABLE,
    busy_at_first,
    names,
    preferring,
    requests,
)
from tests.scheduler.fakes import NS_PER_MS, Simulation, make_request
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.signature import ModelSignature
from tritonpy.scheduler.compatibility import compatibility
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.response_order import ResponseOrder

# Delay


def test_a_preferred_size_ends_the_delay_and_the_rest_waits_from_its_own_arrival() -> None:
    simulation = Simulation(DynamicBatcher(preferring(4, delay_ms=300)), duration_ms=50)
    simulation.arrive(0, *requests(4))
    simulation.arrive(20, make_request("r4"))
    assert simulation.run().batches == [names(0, 3), ["r4"]]
    assert simulation.starts_ms == [0, 320]


def test_the_oldest_request_decides_when_the_delay_is_over() -> None:
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=200)), duration_ms=50)
    for number, time_ms in enumerate((0, 30, 60)):
        simulation.arrive(time_ms, make_request(f"r{number}"))
    assert simulation.run().batches == [names(0, 2)]
    assert simulation.starts_ms == [200]


def test_the_delay_counts_while_instances_are_busy() -> None:
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=100)), duration_ms=150)
    simulation.arrive(0, make_request("r0"))
    simulation.arrive(120, make_request("r1"))
    simulation.run()
    assert simulation.starts_ms == [100, 250]


def test_a_full_batch_does_not_wait() -> None:
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=200)), duration_ms=14)
    simulation.arrive(0, *requests(8))
    assert simulation.run().batches == [names(0, 7)]
    assert simulation.starts_ms == [0]


def test_a_request_that_does_not_fit_ends_the_delay() -> None:
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=200)), duration_ms=14)
    simulation.arrive(0, make_request("a", 5))
    simulation.arrive(40, make_request("b", 4))
    simulation.run()
    assert simulation.starts_ms == [40, 240]


def test_a_shape_break_ends_the_delay() -> None:
    rule = compatibility(ModelSignature(8, (VARIABLE,), ()))
    simulation = Simulation(DynamicBatcher(preferring(delay_ms=200), rule), duration_ms=14)
    simulation.arrive(0, make_request("a", shapes={"IN": (2,)}))
    simulation.arrive(40, make_request("b", shapes={"IN": (3,)}))
    simulation.run()
    assert simulation.starts_ms == [40, 240]


def test_after_the_delay_a_batch_may_exceed_the_largest_preferred_size() -> None:
    waiting = [make_request(f"r{number}") for number in range(1, 7)]
    assert busy_at_first(preferring(4, delay_ms=10), *waiting).batches[1:] == [names(1, 6)]


def test_without_an_idle_instance_the_delay_asks_for_nothing() -> None:
    scheduler = DynamicBatcher(preferring(delay_ms=5))
    scheduler.enqueue(make_request(), 0)
    assert scheduler.next_batch(0) == []
    assert scheduler.wakeup_ns() == 5 * NS_PER_MS
    scheduler.take_dropped(5 * NS_PER_MS)  # woken, but the idle instance has gone down meanwhile
    assert scheduler.wakeup_ns() is None
    assert len(scheduler.next_batch(9 * NS_PER_MS)) == 1


def test_the_delay_of_a_sent_batch_asks_for_nothing() -> None:
    scheduler = DynamicBatcher(preferring(2, delay_ms=5))
    for request in requests(2):
        scheduler.enqueue(request, 0)
        batch = scheduler.next_batch(0)
    assert len(batch) == 2
    assert scheduler.wakeup_ns() is None


# Order of responses


@pytest.mark.parametrize(("ordered", "answers"), [(True, [600, 600, 600]), (False, [600, 20, 40])])
def test_preserved_order_holds_fast_answers_back(ordered: bool, answers: list[float]) -> None:
    simulation = Simulation(
        DynamicBatcher(replace(MAX_1, preserve_ordering=ordered)),
        duration_ms=lambda batch: 600 if batch[0].id == "slow" else 10,
        instance_count=2,
    )
    order = ResponseOrder()
    answered: dict[str, float] = {}

    def reserve(batch: Sequence[InferenceRequest]) -> None:
        for request in batch if ordered else ():
            order.reserve(request)

    def answer(batch: Sequence[InferenceRequest], now_ms: float) -> None:
        for request in batch:
            for released, _ in order.release(request, InferenceResponse()):
                answered[released.id] = now_ms

    simulation.on_run, simulation.on_finish = reserve, answer
    for number, name in enumerate(("slow", "fast1", "fast2")):
        simulation.arrive(10 * max(0, number * 2 - 1), make_request(name))
    simulation.run()
    assert [answered[name] for name in ("slow", "fast1", "fast2")] == answers
    if ordered:
        assert list(answered) == ["slow", "fast1", "fast2"]

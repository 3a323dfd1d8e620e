"""Whatever happens, in whatever order: every request is answered exactly once, and counted once."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scheduler.batcher_cases import preferring, with_timeout
from tests.scheduler.fake_executor import Harness
from tests.scheduler.fakes import NS_PER_MS, make_request
from tritonpy.backends.errors import InternalError
from tritonpy.backends.executor import ExecutorState
from tritonpy.backends.request import InferenceRequest
from tritonpy.scheduler.dynamic_batcher import DynamicBatcher
from tritonpy.scheduler.response_order import ResponseOrder

STEPS = st.lists(st.sampled_from(["arrive", "arrive", "cancel", "finish", "fail", "die", "heal", "wait"]), max_size=60)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans(), st.integers(0, 2**32))
def test_every_request_is_answered_exactly_once(steps: list[str], ordered: bool, seed: int) -> None:
    chance = random.Random(seed)
    scheduler = DynamicBatcher(with_timeout(preferring(2, 4, delay_ms=5), 40))
    harness = Harness(scheduler, instance_count=2, response_order=ResponseOrder() if ordered else None)
    sent: list[InferenceRequest] = []
    for step in [*steps, "end"]:
        play(step, harness, sent, chance)
    statistics = harness.statistics
    assert sorted(harness.answered) == sorted(request.id for request in sent)
    assert statistics.success.count + statistics.fail.count == len(sent)
    assert statistics.pending_count == harness.dispatcher.in_flight_count == scheduler.waiting_count == 0
    assert statistics.inference_count == statistics.success.count
    assert statistics.execution_count == sum(len(executor.batches) for executor in harness.executors)
    assert len(harness.started) == len(set(harness.started))
    if ordered:
        assert [name for name in harness.answered if name in harness.started] == harness.started


def play(step: str, harness: Harness, sent: list[InferenceRequest], chance: random.Random) -> None:
    """Do one thing to a harness; "end" is whatever ends all that is in flight."""
    executor = chance.choice(harness.executors)
    if step == "arrive":
        sent.append(make_request(f"r{len(sent)}"))
        harness.submit(sent[-1])
    elif step == "cancel" and sent:
        chance.choice(sent).cancel()
    elif step == "wait":
        harness.time.move_to(harness.time.now_ns / NS_PER_MS + chance.choice([1, 5, 30]))
    elif step == "die":
        executor.die(chance.choice([ExecutorState.STARTING, ExecutorState.DOWN]))
    elif step == "heal" and executor.state in (ExecutorState.STARTING, ExecutorState.DOWN):
        executor.become(ExecutorState.IDLE)
    elif step in ("finish", "fail") and executor.state is ExecutorState.BUSY:
        executor.finish() if step == "finish" else executor.fail(InternalError("raised"))
    elif step == "end":
        play_out(harness)


def play_out(harness: Harness) -> None:
    """Let time pass and batches finish until nothing is in flight."""
    for _ in range(100):
        harness.time.move_to(harness.time.now_ns / NS_PER_MS + 50)
        for each in harness.executors:
            if each.state is ExecutorState.BUSY:
                each.finish()

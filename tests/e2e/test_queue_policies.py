"""Priorities and queue policies, as a client and the model see them: who goes first, who is refused, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .scripted import MS, Models, batches, write_scripted_model
from .server import Server, running_server

LEVELS = "priority_levels: 3 default_priority_level: 2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("queue_policies")
    write_repository(folder / "models")
    with running_server(folder / "models", folder) as server:
        yield server


def write_repository(repository: Path) -> None:
    write_scripted_model(repository, "levels", f"dynamic_batching {{ {LEVELS} }}", max_batch_size=4)
    write_scripted_model(repository, "single_levels", f"dynamic_batching {{ {LEVELS} }}", max_batch_size=1)
    write_scripted_model(
        repository,
        "short_level",
        f"dynamic_batching {{ {LEVELS} priority_queue_policy [ {{ key: 1 value {{ max_queue_size: 1 }} }} ] }}",
    )
    policies = {
        "reject": "default_timeout_microseconds: 200000",
        "override": "default_timeout_microseconds: 300000 allow_timeout_override: true",
        "override_only": "allow_timeout_override: true",
        "short_queue": "max_queue_size: 2",
    }
    for name, policy in policies.items():
        write_scripted_model(repository, name, queue_policy(policy))
    write_scripted_model(
        repository,
        "postpone",
        queue_policy("default_timeout_microseconds: 500000 timeout_action: DELAY", LEVELS),
        max_batch_size=2,
    )
    write_scripted_model(
        repository,
        "delay_and_reject",
        queue_policy("default_timeout_microseconds: 150000", "max_queue_delay_microseconds: 1000000"),
    )


def queue_policy(policy: str, more: str = "") -> str:
    return f"dynamic_batching {{ {more} default_queue_policy {{ {policy} }} }}"


# Priorities.


def test_lower_levels_go_first_and_unknown_levels_are_the_default_one(model: Models) -> None:
    levels = model("single_levels")
    with levels.busy():
        waiting = [
            levels.queue("p3", priority=3),
            levels.queue("none"),
            levels.queue("p2", priority=2),
            levels.queue("p1", priority=1),
            levels.queue("p9", priority=9),
        ]
    assert batches(waiting) == [["p1"], ["none"], ["p2"], ["p9"], ["p3"]]


def test_a_batch_may_mix_levels_in_their_order(model: Models) -> None:
    levels = model("levels")
    with levels.busy():
        waiting = [
            levels.queue(f"p{priority}-{number}", priority=priority)
            for number, priority in enumerate((3, 3, 2, 2, 1, 1))
        ]
    assert batches(waiting) == [["p1-4", "p1-5", "p2-2", "p2-3"], ["p3-0", "p3-1"]]


# Queue policies.


def test_an_expired_request_is_rejected_while_the_instance_is_still_busy(model: Models, server: Server) -> None:
    reject = model("reject")
    with reject.busy():
        waiting = reject.queue_all("r1 r2")
        assert [pending.error_text() for pending in waiting] == ["Request timeout expired"] * 2
        assert all(pending.error().status() == "StatusCode.UNAVAILABLE" for pending in waiting)
    assert all(pending.answered_ns >= pending.sent_ns + 200 * MS for pending in waiting)
    assert server.metric("nv_inference_request_failure", model="reject", reason="REJECTED") == 2
    assert server.statistics("reject")["inference_stats"]["fail"]["count"] == 2
    assert reject.run("r3").ids == ["r3"]


def test_a_request_timeout_needs_the_permission_to_override(model: Models) -> None:
    reject = model("reject")
    with reject.busy():
        pending = reject.queue("r1", timeout=1000)
        assert pending.error_text() == "Request timeout expired"
    assert pending.answered_ns >= pending.sent_ns + 200 * MS


def test_an_override_can_only_shorten_the_timeout(model: Models) -> None:
    override = model("override")
    with override.busy():
        short, long, default = (
            override.queue("short", timeout=50_000),
            override.queue("long", timeout=20_000_000),
            override.queue("default"),
        )
        for pending in (short, long, default):
            assert pending.error_text() == "Request timeout expired"
    assert short.answered_ns >= short.sent_ns + 50 * MS
    assert long.answered_ns >= long.sent_ns + 300 * MS
    assert default.answered_ns >= default.sent_ns + 300 * MS


def test_an_override_does_nothing_without_a_default_timeout(model: Models) -> None:
    override = model("override_only")
    with override.busy():
        pending = override.queue("short", timeout=1000)
        time.sleep(0.1)
    assert batches([pending]) == [["short"]]


def test_action_delay_serves_expired_requests_after_those_in_time(model: Models) -> None:
    postpone = model("postpone")
    with postpone.busy():
        old = postpone.queue_all("old1 old2")
        time.sleep(0.7)
        new = postpone.queue_all("new1 new2 new3")
    assert batches([*old, *new]) == [["new1", "new2"], ["new3", "old1"], ["old2"]]


def test_action_delay_puts_each_expired_request_behind_those_expired_before(model: Models) -> None:
    postpone = model("postpone")
    gate = postpone.gate()
    with postpone.busy():
        old = postpone.queue_all("old1 old2")
        time.sleep(0.7)
        new = [postpone.queue("new1", gate.command), *postpone.queue_all("new2 new3")]
    gate.wait_until_entered()
    time.sleep(0.7)
    gate.open()
    assert batches([*old, *new]) == [["new1", "new2"], ["old1", "old2"], ["new3"]]


def test_delayed_requests_go_before_the_next_level(model: Models) -> None:
    postpone = model("postpone")
    with postpone.busy():
        old = postpone.queue_all("old1 old2", priority=1)
        time.sleep(0.7)
        new = [postpone.queue("low", priority=2), postpone.queue("high", priority=1)]
    assert batches([*old, *new]) == [["high", "old1"], ["old2", "low"]]


def test_a_full_queue_refuses_at_once_and_counts_nothing(model: Models, server: Server) -> None:
    short_queue = model("short_queue")
    with short_queue.busy():
        accepted = short_queue.queue_all("r1 r2")
        refused = [short_queue.send(request_id) for request_id in ("r3", "r4", "r5")]
        for pending in refused:
            assert pending.error_text() == f"[request id: {pending.request_id}] Exceeds maximum queue size"
            assert pending.error().status() == "StatusCode.UNAVAILABLE"
    assert batches(accepted) == [["r1", "r2"]]
    assert server.statistics("short_queue")["inference_stats"]["fail"]["count"] == 0
    assert server.metric("nv_inference_request_failure", model="short_queue", reason="REJECTED") == 0


def test_a_timeout_shorter_than_the_delay_fires_on_an_idle_server(model: Models) -> None:
    pending = model("delay_and_reject").send("r0")
    assert pending.error_text() == "Request timeout expired"
    assert pending.answered_ns >= pending.sent_ns + 150 * MS


def test_a_level_has_its_own_policy_and_its_own_count(model: Models) -> None:
    short_level = model("short_level")
    with short_level.busy():
        accepted = [*short_level.queue_all("p2-1 p2-2", priority=2), short_level.queue("p1-1", priority=1)]
        refused = short_level.send("p1-2", priority=1)
        assert refused.error_text() == "[request id: p1-2] Exceeds maximum queue size"
        accepted.append(short_level.queue("p2-3", priority=2))
    assert batches(accepted) == [["p1-1", "p2-1", "p2-2", "p2-3"]]

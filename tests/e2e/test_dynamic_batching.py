"""The dynamic batcher, as a client and the model see it: who shares a batch, in which order, and who is refused."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton

from .scripted import ScriptedModel, batch_sizes, batches, executions, write_scripted_model
from .server import HOST, Server, running_server, wait_until

MS = 1_000_000
"""Nanoseconds in a millisecond."""

LEVELS = "priority_levels: 3 default_priority_level: 2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("dynamic_batching")
    write_repository(folder / "models")
    with running_server(folder / "models", folder) as server:
        yield server


def write_repository(repository: Path) -> None:
    variable_input = 'input [ { name: "X" data_type: TYPE_FP32 dims: [ -1 ] } ]'
    write_scripted_model(repository, "unbatched")
    write_scripted_model(repository, "plain", "dynamic_batching { }")
    write_scripted_model(repository, "two_instances", "dynamic_batching { }", instance_count=2)
    write_scripted_model(repository, "single", "dynamic_batching { }", max_batch_size=0)
    write_scripted_model(
        repository, "preferred", "dynamic_batching { preferred_batch_size: [ 2, 4 ] }", instance_count=1
    )
    write_scripted_model(
        repository, "delayed", "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 1000000 }"
    )
    write_scripted_model(repository, "variable", f"{variable_input} dynamic_batching {{ }}")
    write_scripted_model(
        repository,
        "ragged",
        'input [ { name: "X" data_type: TYPE_FP32 dims: [ -1 ] allow_ragged_batch: true } ] dynamic_batching { }',
    )
    write_scripted_model(
        repository,
        "optional",
        'input [ { name: "X" data_type: TYPE_FP32 dims: [ 1 ] optional: true } ] dynamic_batching { }',
    )
    write_scripted_model(repository, "levels", f"dynamic_batching {{ {LEVELS} }}", max_batch_size=4)
    write_scripted_model(repository, "single_levels", f"dynamic_batching {{ {LEVELS} }}", max_batch_size=1)
    write_scripted_model(repository, "reject", queue_policy("default_timeout_microseconds: 200000"))
    write_scripted_model(
        repository,
        "postpone",
        queue_policy("default_timeout_microseconds: 500000 timeout_action: DELAY", LEVELS),
        max_batch_size=2,
    )
    write_scripted_model(
        repository, "override", queue_policy("default_timeout_microseconds: 300000 allow_timeout_override: true")
    )
    write_scripted_model(repository, "override_only", queue_policy("allow_timeout_override: true"))
    write_scripted_model(repository, "short_queue", queue_policy("max_queue_size: 2"))
    write_scripted_model(
        repository,
        "delay_and_reject",
        queue_policy("default_timeout_microseconds: 150000", "max_queue_delay_microseconds: 1000000"),
    )
    write_scripted_model(repository, "ordered", "dynamic_batching { preserve_ordering: true }", instance_count=2)


def queue_policy(policy: str, more: str = "") -> str:
    return f"dynamic_batching {{ {more} default_queue_policy {{ {policy} }} }}"


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.grpc_url) as client:
        yield client


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gates")


@pytest.fixture
def model(server: Server, client: triton.InferenceServerClient, gates: Path) -> Callable[[str], ScriptedModel]:
    return lambda name: ScriptedModel(server, client, name, gates)


Models = Callable[[str], ScriptedModel]


def x(*shape: int) -> dict[str, np.ndarray]:
    """The input X with this shape, batch dimension included."""
    return {"X": np.zeros(shape, np.float32)}


# What shares a batch.


def test_without_dynamic_batching_nothing_is_merged_and_priority_and_timeout_mean_nothing(model: Models) -> None:
    unbatched = model("unbatched")
    with unbatched.busy():
        waiting = [unbatched.queue(f"r{priority}", size=2, priority=priority, timeout=1000) for priority in (3, 2, 1)]
    assert batches(waiting) == [["r3"], ["r2"], ["r1"]]
    assert batch_sizes(waiting) == [[2], [2], [2]]


def test_requests_that_wait_share_a_batch(model: Models) -> None:
    plain = model("plain")
    with plain.busy():
        waiting = plain.queue_all("r1 r2 r3 r4 r5")
    assert batches(waiting) == [["r1", "r2", "r3", "r4", "r5"]]


def test_a_batch_never_exceeds_max_batch_size(model: Models) -> None:
    plain = model("plain")
    with plain.busy():
        waiting = plain.queue_all(" ".join(f"r{number}" for number in range(20)))
    assert [len(ids) for ids in batches(waiting)] == [8, 8, 4]
    assert [id for ids in batches(waiting) for id in ids] == [f"r{number}" for number in range(20)]


def test_batch_sizes_of_requests_add_up_and_nobody_jumps_the_queue(model: Models, server: Server) -> None:
    plain = model("plain")
    before = batch_statistics(server, "plain")
    with plain.busy():
        waiting = [plain.queue(f"r{size}-{number}", size=size) for number, size in enumerate((5, 4, 3, 1, 1))]
    assert batch_sizes(waiting) == [[5], [4, 3, 1], [1]]
    after = batch_statistics(server, "plain")
    assert after - before == {5: 1, 8: 1, 1: 2}, "executions are counted under the sum of their members' batch sizes"


def batch_statistics(server: Server, model: str) -> Executions:
    entries = server.statistics(model)["batch_stats"]
    return Executions({entry["batch_size"]: entry["compute_infer"]["count"] for entry in entries})


class Executions(dict[int, int]):
    """Number of executions by batch size."""

    def __sub__(self, other: Executions) -> dict[int, int]:
        difference = {size: count - other.get(size, 0) for size, count in self.items()}
        return {size: count for size, count in difference.items() if count}


def test_parameters_timeouts_and_requested_outputs_do_not_keep_requests_apart(model: Models) -> None:
    plain = model("plain")
    with plain.busy():
        waiting = [
            plain.queue("r1", parameters={"colour": "red"}),
            plain.queue("r2", timeout=5),
            plain.queue("r3", outputs=[triton.InferRequestedOutput("REPORT")]),
            plain.queue("r4", priority=1),
        ]
    assert batches(waiting) == [["r1", "r2", "r3", "r4"]]


def test_a_variable_shape_must_equal_that_of_the_first_request_of_the_batch(model: Models) -> None:
    variable = model("variable")
    with variable.busy(inputs=x(1, 1)):
        waiting = [variable.queue(f"r{number}", inputs=x(1, length)) for number, length in enumerate((2, 3, 2, 2))]
    assert batches(waiting) == [["r0"], ["r1"], ["r2", "r3"]]


def test_the_batch_dimension_is_no_part_of_the_shape(model: Models) -> None:
    variable = model("variable")
    with variable.busy(inputs=x(1, 1)):
        waiting = [variable.queue(f"r{size}", size=size, inputs=x(size, 2)) for size in (1, 3, 2)]
    assert batch_sizes(waiting) == [[1, 3, 2]]


def test_a_ragged_input_may_have_any_shape(model: Models) -> None:
    ragged = model("ragged")
    with ragged.busy(inputs=x(1, 1)):
        waiting = [ragged.queue(f"r{number}", inputs=x(1, length)) for number, length in enumerate((2, 3, 2, 2))]
    assert batches(waiting) == [["r0", "r1", "r2", "r3"]]


def test_requests_with_other_optional_inputs_do_not_share_a_batch(model: Models) -> None:
    optional = model("optional")
    with optional.busy():
        waiting = [
            optional.queue(f"r{number}", inputs=x(1, 1) if given else {})
            for number, given in enumerate((False, False, True, True, False))
        ]
    assert batches(waiting) == [["r0", "r1"], ["r2", "r3"], ["r4"]]


def test_a_model_without_batching_gets_single_requests_in_order(model: Models) -> None:
    single = model("single")
    with single.busy(size=0):
        waiting = single.queue_all("r1 r2 r3", size=0)
    assert batches(waiting) == [["r1"], ["r2"], ["r3"]]


def test_all_instances_share_one_queue(model: Models) -> None:
    shared = model("two_instances")
    first_gate, first = shared.occupy("r0")
    second_gate, second = shared.occupy("r1")
    try:
        waiting = shared.queue_all("r2 r3 r4 r5 r6 r7 r8 r9")
        first_gate.open()
        assert batches(waiting) == [["r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"]]
        assert not second.done
    finally:
        first_gate.open()
        second_gate.open()
    assert first.report().instance == waiting[0].report().instance != second.report().instance


# Preferred sizes and the delay.


def test_the_largest_preferred_size_among_those_waiting_is_taken(model: Models) -> None:
    preferred = model("preferred")
    with preferred.busy():
        waiting = preferred.queue_all("r1 r2 r3 r4 r5 r6 r7")
    assert [sorted(ids) for ids in batches(waiting)] == [["r1", "r2", "r3", "r4"], ["r5", "r6"], ["r7"]]


def test_a_preferred_size_is_sent_at_once_and_a_lone_request_waits_for_the_delay(model: Models) -> None:
    delayed = model("delayed")
    full = [*delayed.queue_all("r0 r1 r2"), delayed.send("r3")]
    late = delayed.send("r4")
    assert batches(full) == [["r0", "r1", "r2", "r3"]]
    assert full[0].report().start_ns < full[0].sent_ns + 1000 * MS
    assert batches([late]) == [["r4"]]
    assert late.report().start_ns >= late.sent_ns + 1000 * MS, "the delay counts from the request's own arrival"


def test_the_delay_counts_from_the_oldest_request(model: Models) -> None:
    delayed = model("delayed")
    waiting = delayed.queue_all("r0 r1 r2")
    (execution,) = executions(waiting)
    assert execution.ids == ["r0", "r1", "r2"]
    assert execution.start_ns >= waiting[0].sent_ns + 1000 * MS


def test_a_batch_above_the_largest_preferred_size_does_not_wait(model: Models) -> None:
    delayed = model("delayed")
    waiting = [delayed.send("r0", size=8)]
    assert batch_sizes(waiting) == [[8]]
    assert waiting[0].report().start_ns < waiting[0].sent_ns + 1000 * MS


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


# Order of responses.


def test_preserve_ordering_holds_back_answers_until_the_earlier_ones_are_out(model: Models, server: Server) -> None:
    ordered = model("ordered")
    slow_gate, slow = ordered.occupy("slow")
    try:
        fast_gate, fast = ordered.occupy("fast1")
        fast_gate.open()
        last_gate, last = ordered.occupy("fast2")
        last_gate.open()
        time.sleep(0.2)
        assert not fast.done
        assert not last.done
    finally:
        slow_gate.open()
    assert [pending.report().ids for pending in (slow, fast, last)] == [["slow"], ["fast1"], ["fast2"]]


def test_without_preserve_ordering_a_fast_answer_overtakes_a_slow_one(model: Models) -> None:
    unordered = model("two_instances")
    with unordered.busy() as [slow]:
        assert unordered.run("fast1").ids == ["fast1"]
        assert unordered.run("fast2").ids == ["fast2"]
        assert not slow.done


# Failures inside a batch.


def test_one_error_response_leaves_the_rest_of_the_batch_alone(model: Models, server: Server) -> None:
    plain = model("plain")
    failures = server.metric("nv_inference_request_failure", model="plain", reason="BACKEND")
    with plain.busy():
        good1, bad, good2 = plain.queue("good1"), plain.queue("bad", "error:not today"), plain.queue("good2")
    assert batches([good1, good2]) == [["good1", "bad", "good2"]]
    assert bad.error_text() == "not today"
    assert server.metric("nv_inference_request_failure", model="plain", reason="BACKEND") == failures + 1


def test_an_exception_fails_every_request_of_the_batch(model: Models, server: Server) -> None:
    plain = model("plain")
    plain.run()
    before = server.statistics("plain")
    failures = server.metric("nv_inference_request_failure", model="plain", reason="BACKEND")
    waiting = []
    with plain.busy():
        waiting = [plain.queue("r1"), plain.queue("r2", "raise:boom"), plain.queue("r3")]
    for pending in waiting:
        expected = "Failed to process the request(s) for model 'plain_0_0', message: ValueError: boom"
        assert pending.error_text().startswith(expected)
        assert pending.error().status() == "StatusCode.INTERNAL"
    after = server.statistics("plain")
    assert server.metric("nv_inference_request_failure", model="plain", reason="BACKEND") == failures + 3
    assert after["execution_count"] == before["execution_count"] + 2, "the failed execution counts too"
    assert after["inference_count"] == before["inference_count"] + 1
    assert plain.run("r4").ids == ["r4"]


# Cancellation.


def test_a_cancelled_request_is_never_executed(model: Models, server: Server) -> None:
    levels = model("levels")
    fails = server.statistics("levels")["inference_stats"]["fail"]["count"]
    with levels.busy():
        cancelled, kept = levels.queue_all("cancelled kept")
        cancelled.cancel()
        assert cancelled.error().status() == "StatusCode.CANCELLED"
        time.sleep(0.1)  # for the cancellation to arrive: nothing tells when it has
    assert batches([kept]) == [["kept"]]
    assert server.metric("nv_inference_request_failure", model="levels", reason="CANCELED") == 1
    assert server.statistics("levels")["inference_stats"]["fail"]["count"] == fails + 1
    assert server.pending_count("levels") == 0


@pytest.mark.parametrize("name", ["plain", "unbatched"])
def test_a_cancelled_request_is_dropped_at_dispatch_whatever_the_scheduler(model: Models, name: str) -> None:
    target = model(name)
    with target.busy():
        cancelled, kept = target.queue_all("cancelled kept")
        cancelled.cancel()
        time.sleep(0.1)
    before, after = kept.report(), target.run("after")
    assert before.ids == ["kept"]
    assert after.execution == before.execution + 1


def test_a_request_cancelled_while_it_executes_is_counted_as_the_success_it_was(model: Models, server: Server) -> None:
    plain = model("plain")
    successes = server.statistics("plain")["inference_stats"]["success"]["count"]
    gate, executing = plain.occupy("executing")
    executing.cancel()
    assert executing.error().status() == "StatusCode.CANCELLED"
    gate.open()
    assert plain.run("next").ids == ["next"]
    assert server.statistics("plain")["inference_stats"]["success"]["count"] == successes + 2


def test_closing_an_http_connection_does_not_cancel(model: Models, server: Server) -> None:
    plain = model("plain")
    successes = server.statistics("plain")["inference_stats"]["success"]["count"]
    body = json.dumps(
        {"id": "left", "inputs": [{"name": "COMMAND", "datatype": "BYTES", "shape": [1, 1], "data": [""]}]}
    )
    head = f"POST /v2/models/plain/infer HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
    with plain.busy():
        with socket.create_connection((HOST, server.http_port)) as connection:
            connection.sendall((head + body).encode())
            wait_until(lambda: server.pending_count("plain") == 1, "the request is queued")
        time.sleep(0.1)  # for the server to see that the connection is gone
        staying = plain.queue("staying")
    assert batches([staying]) == [["left", "staying"]]
    assert server.statistics("plain")["inference_stats"]["success"]["count"] == successes + 3


# The scheduler's start.


def test_delayed_scheduler_waits_until_enough_requests_are_queued(tmp_path: Path) -> None:
    write_scripted_model(tmp_path / "models", "plain", "dynamic_batching { }")
    environment = {"TRITONSERVER_DELAY_SCHEDULER": "4"}
    with (
        running_server(tmp_path / "models", tmp_path, environment=environment) as server,
        triton.InferenceServerClient(server.grpc_url) as client,
    ):
        plain = ScriptedModel(server, client, "plain", tmp_path)
        waiting = plain.queue_all("r0 r1 r2")
        time.sleep(0.2)
        assert not any(pending.done for pending in waiting)
        waiting.append(plain.send("r3"))
        assert batches(waiting) == [["r0", "r1", "r2", "r3"]]
        assert plain.run("r4").ids == ["r4"], "after the first batch the count means nothing"

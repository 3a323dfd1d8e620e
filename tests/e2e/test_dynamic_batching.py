"""The dynamic batcher, as a client and the model see it: who shares a batch, when it goes, and in which order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton

from .scripted import MS, Models, ScriptedModel, batch_sizes, batches, executions, write_scripted_model
from .server import Server, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("dynamic_batching")
    write_repository(folder / "models")
    with running_server(folder / "models", folder) as server:
        yield server


def write_repository(repository: Path) -> None:
    write_scripted_model(repository, "unbatched")
    write_scripted_model(repository, "plain", "dynamic_batching { }")
    write_scripted_model(repository, "two_instances", "dynamic_batching { }", instance_count=2)
    write_scripted_model(repository, "single", "dynamic_batching { }", max_batch_size=0)
    write_scripted_model(repository, "preferred", "dynamic_batching { preferred_batch_size: [ 2, 4 ] }")
    write_scripted_model(
        repository, "delayed", "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 1000000 }"
    )
    for name, more in {
        "variable": "dims: [ -1 ]",
        "ragged": "dims: [ -1 ] allow_ragged_batch: true",
        "optional": "dims: [ 1 ] optional: true",
    }.items():
        write_scripted_model(
            repository, name, f'input [ {{ name: "X" data_type: TYPE_FP32 {more} }} ] dynamic_batching {{ }}'
        )
    write_scripted_model(repository, "ordered", "dynamic_batching { preserve_ordering: true }", instance_count=2)


def x(*shape: int) -> dict[str, npt.NDArray[Any]]:
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

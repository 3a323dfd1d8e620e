"""What becomes of the members of a batch when one of them fails, and of requests whose client has given up."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .scripted import Models, batches, write_scripted_model
from .server import HOST, Server, running_server, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("failed_requests")
    write_repository(folder / "models")
    with running_server(folder / "models", folder) as server:
        yield server


def write_repository(repository: Path) -> None:
    write_scripted_model(repository, "unbatched")
    write_scripted_model(repository, "plain", "dynamic_batching { }")
    levels = "dynamic_batching { priority_levels: 3 default_priority_level: 2 }"
    write_scripted_model(repository, "levels", levels, max_batch_size=4)


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
        wait_until(lambda: cancelled_count(server, "levels") == 1, "the cancellation has arrived")
    assert batches([kept]) == [["kept"]]
    assert cancelled_count(server, "levels") == 1
    assert server.statistics("levels")["inference_stats"]["fail"]["count"] == fails + 1
    assert server.pending_count("levels") == 0


def test_a_request_whose_deadline_has_passed_is_never_executed(model: Models, server: Server) -> None:
    """Several: if the server sent an answer at the deadline, it would be luck whether that came in time."""
    plain = model("plain")
    before = cancelled_count(server, "plain")
    with plain.busy():
        late = [plain.queue(f"late{number}", client_timeout=0.5) for number in range(5)]
        kept = plain.queue("kept")
        assert {pending.error().status() for pending in late} == {"StatusCode.DEADLINE_EXCEEDED"}
        wait_until(lambda: cancelled_count(server, "plain") == before + 5, "the server has seen that they have passed")
    assert batches([kept]) == [["kept"]]
    assert cancelled_count(server, "plain") == before + 5


def cancelled_count(server: Server, model: str) -> float:
    return server.metric("nv_inference_request_failure", model=model, reason="CANCELED")


@pytest.mark.parametrize("name", ["plain", "unbatched"])
def test_a_cancelled_request_is_dropped_whatever_the_scheduler(model: Models, server: Server, name: str) -> None:
    target = model(name)
    count = cancelled_count(server, name)
    with target.busy():
        cancelled, kept = target.queue_all("cancelled kept")
        cancelled.cancel()
        wait_until(lambda: cancelled_count(server, name) == count + 1, "the cancellation has arrived")
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

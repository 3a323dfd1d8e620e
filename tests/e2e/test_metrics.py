"""The metrics port, after requests that are known."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psutil
import pytest

from .scripted import Models, write_scripted_model
from .server import Server, http_request, running_server

COUNTERS = {
    "nv_inference_request_success",
    "nv_inference_request_failure",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_request_duration_us",
    "nv_inference_queue_duration_us",
    "nv_inference_compute_input_duration_us",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_compute_output_duration_us",
}
REASONS = {"REJECTED", "CANCELED", "BACKEND", "OTHER"}
REJECTING = "dynamic_batching { default_queue_policy { default_timeout_microseconds: 100000 } }"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("metrics")
    for name in ("untouched", "counted", "waiting", "failing"):
        write_scripted_model(folder / "models", name, REJECTING if name == "failing" else "dynamic_batching { }")
    with running_server(folder / "models", folder) as server:
        yield server


def test_the_page_is_prometheus_text(server: Server) -> None:
    answer = http_request(server.metrics_port, "GET", "/metrics", b"", {}, 10)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; charset=utf-8")
    lines = answer.body.decode().splitlines()
    assert all(re.match(r"# (HELP|TYPE) \w+ |\w+(\{.*\})? \S+$", line) for line in lines)
    for family in COUNTERS:
        assert f"# TYPE {family} counter" in lines
    assert "# TYPE nv_inference_pending_request_count gauge" in lines


def test_every_series_of_a_model_is_there_from_the_start_at_zero(server: Server) -> None:
    load_time = "nv_model_load_duration_secs"
    series = [each for each in server.series() if each.labels.get("model") == "untouched" and each.name != load_time]
    assert {each.name for each in series} == COUNTERS | {"nv_inference_pending_request_count"}
    assert all(each.value == 0 for each in series)
    assert all(each.labels["version"] == "1" for each in series)
    reasons = [each.labels["reason"] for each in series if each.name == "nv_inference_request_failure"]
    assert sorted(reasons) == sorted(REASONS)
    others = [each for each in series if each.name != "nv_inference_request_failure"]
    assert all(set(each.labels) == {"model", "version"} for each in others)


def test_the_time_of_loading_is_told(server: Server) -> None:
    assert 0 < server.metric("nv_model_load_duration_secs", model="untouched", version="1") < 60


def test_labels_are_in_alphabetical_order_and_numbers_are_plain(server: Server) -> None:
    pattern = r'^nv_inference_request_failure\{model="untouched",reason="REJECTED",version="1"\} 0$'
    assert re.search(pattern, server.metrics_text(), re.MULTILINE)


def test_counters_after_known_requests(server: Server, model: Models) -> None:
    counted = model("counted")
    counted.run("r1", size=3)
    counted.run("r2", size=1)
    with counted.busy():
        waiting = [counted.queue("r3", size=2), counted.queue("r4", size=2)]
    for pending in waiting:
        pending.report()
    expected = {"nv_inference_request_success": 5, "nv_inference_count": 9, "nv_inference_exec_count": 4}
    assert {name: server.metric(name, model="counted") for name in expected} == expected
    for reason in REASONS:
        assert server.metric("nv_inference_request_failure", model="counted", reason=reason) == 0
    check_durations(server, "counted")


def check_durations(server: Server, model: str) -> None:
    """Durations are those of the statistics, cut to whole microseconds for each event."""
    statistics = server.statistics(model)["inference_stats"]
    names = {"request": "success", "queue": "queue"} | {
        f"compute_{part}": f"compute_{part}" for part in ("input", "infer", "output")
    }
    for metric, statistic in names.items():
        duration_us = server.metric(f"nv_inference_{metric}_duration_us", model=model)
        exact_us, count = statistics[statistic]["ns"] / 1000, statistics[statistic]["count"]
        assert exact_us - count <= duration_us <= exact_us
    assert server.metric("nv_inference_compute_infer_duration_us", model=model) > 0


def test_the_pending_gauge_counts_who_waits(server: Server, model: Models) -> None:
    waiting = model("waiting")
    with waiting.busy():
        assert server.pending_count("waiting") == 0, "the one that is executed does not wait"
        queued = waiting.queue_all("r1 r2 r3")
        assert server.pending_count("waiting") == 3
    for pending in queued:
        pending.report()
    assert server.pending_count("waiting") == 0


def test_failures_are_counted_by_reason(server: Server, model: Models) -> None:
    failing = model("failing")
    failing.send("raising", "raise:no").error()
    failing.send("error", "error:no").error()
    with failing.busy():
        failing.queue("late").error()
    failing.send("wrong", size=9).error()
    failures = {
        reason: server.metric("nv_inference_request_failure", model="failing", reason=reason) for reason in REASONS
    }
    assert failures == {"BACKEND": 2, "REJECTED": 1, "CANCELED": 0, "OTHER": 0}, "refused requests are not counted"
    assert server.metric("nv_inference_request_success", model="failing") == 1


def test_a_crash_of_the_worker_is_a_failure_of_the_backend(server: Server, model: Models) -> None:
    failing = model("failing")
    before = server.metric("nv_inference_request_failure", model="failing", reason="BACKEND")
    failing.send("leaver", "os_exit").error()
    assert server.metric("nv_inference_request_failure", model="failing", reason="BACKEND") == before + 1


def test_memory_and_processors(server: Server) -> None:
    assert server.metric("nv_cpu_memory_total_bytes") == psutil.virtual_memory().total
    assert 0 < server.metric("nv_cpu_memory_used_bytes") < server.metric("nv_cpu_memory_total_bytes")
    assert 0 <= server.metric("nv_cpu_utilization") <= 1


def test_counters_never_fall(server: Server, model: Models) -> None:
    before = counter_values(server)
    model("counted").run()
    after = counter_values(server)
    assert before.keys() == after.keys()
    assert all(after[series] >= before[series] for series in before)
    assert after != before


def counter_values(server: Server) -> dict[tuple[str, str], float]:
    """The value of every counter by its name and labels."""
    return {(each.name, str(each.labels)): each.value for each in server.series() if each.name in COUNTERS}

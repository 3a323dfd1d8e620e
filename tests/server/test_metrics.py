"""Metrics: names, labels and numbers as Triton shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psutil
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.server.fake_engine import FakeEngine, FakeModel, signature
from tests.server.http.running_app import RunningApp, running
from tritonpy.protos import datatypes
from tritonpy.scheduler.statistics import FailureReason
from tritonpy.server.metrics import create_metrics_app, create_registry, exposition

MODEL_FAMILIES = [
    ("nv_inference_request_success", "counter"),
    ("nv_inference_request_failure", "counter"),
    ("nv_inference_count", "counter"),
    ("nv_inference_exec_count", "counter"),
    ("nv_inference_request_duration_us", "counter"),
    ("nv_inference_queue_duration_us", "counter"),
    ("nv_inference_compute_input_duration_us", "counter"),
    ("nv_inference_compute_infer_duration_us", "counter"),
    ("nv_inference_compute_output_duration_us", "counter"),
    ("nv_inference_pending_request_count", "gauge"),
    ("nv_model_load_duration_secs", "gauge"),
]
MACHINE_FAMILIES = [
    ("nv_cpu_utilization", "gauge"),
    ("nv_cpu_memory_total_bytes", "gauge"),
    ("nv_cpu_memory_used_bytes", "gauge"),
]


@pytest.fixture
def engine() -> FakeEngine:
    one = signature(0, {"INPUT0": (datatypes.FP32, (1,))})
    return FakeEngine([FakeModel("b", one), FakeModel("a", one, version=2)])


@pytest.fixture
def server(engine: FakeEngine) -> Iterator[RunningApp]:
    with running(create_metrics_app(create_registry(engine.as_engine(), cpu_metrics=True))) as served:
        yield served


def text_of(engine: FakeEngine, cpu_metrics: bool = False) -> str:
    return exposition(create_registry(engine.as_engine(), cpu_metrics).collect())


def families(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)


def test_families_in_order(engine: FakeEngine) -> None:
    assert families(text_of(engine)) == MODEL_FAMILIES
    assert families(text_of(engine, cpu_metrics=True)) == MODEL_FAMILIES + MACHINE_FAMILIES


def test_without_models_nothing_is_said_about_models() -> None:
    assert text_of(FakeEngine()) == ""
    assert families(text_of(FakeEngine(), cpu_metrics=True)) == MACHINE_FAMILIES


def test_series_start_at_zero(engine: FakeEngine) -> None:
    lines = text_of(engine).splitlines()
    assert 'nv_inference_count{model="a",version="2"} 0' in lines
    assert 'nv_inference_count{model="b",version="1"} 0' in lines
    for reason in ("REJECTED", "CANCELED", "BACKEND", "OTHER"):
        assert f'nv_inference_request_failure{{model="a",reason="{reason}",version="2"}} 0' in lines


def test_numbers(engine: FakeEngine) -> None:
    statistics = engine.models[0].statistics
    for name in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        getattr(statistics, name).add(2_999_999)
    statistics.cache_miss.ns = 1001
    statistics.inference_count, statistics.execution_count, statistics.pending_count = 4, 2, 3
    statistics.failures[FailureReason.BACKEND] = 7
    lines = text_of(engine).splitlines()
    expected = {
        "nv_inference_request_success": "1",
        "nv_inference_count": "4",
        "nv_inference_exec_count": "2",
        "nv_inference_request_duration_us": "3001",
        "nv_inference_queue_duration_us": "2999",
        "nv_inference_compute_input_duration_us": "2999",
        "nv_inference_compute_infer_duration_us": "2999",
        "nv_inference_compute_output_duration_us": "2999",
        "nv_inference_pending_request_count": "3",
        "nv_model_load_duration_secs": "0.25",
    }
    for name, number in expected.items():
        assert f'{name}{{model="b",version="1"}} {number}' in lines
    assert 'nv_inference_request_failure{model="b",reason="BACKEND",version="1"} 7' in lines


def test_tags_of_the_configuration_are_labels(engine: FakeEngine) -> None:
    engine.models[0].config.metric_tags["team"] = 'a "b"\\\n'
    assert r'nv_inference_count{_team="a \"b\"\\\n",model="b",version="1"} 0' in text_of(engine).splitlines()


def test_the_text_is_what_prometheus_reads(engine: FakeEngine) -> None:
    engine.models[0].config.metric_tags["team"] = 'a "b"\\\n'
    read = {family.name: family for family in text_string_to_metric_families(text_of(engine, cpu_metrics=True))}
    assert set(read) == {name for name, _ in MODEL_FAMILIES + MACHINE_FAMILIES}
    assert {sample.labels.get("_team") for sample in read["nv_inference_count"].samples} == {None, 'a "b"\\\n'}


def test_the_machine(engine: FakeEngine) -> None:
    read = {family.name: family.samples[0].value for family in text_string_to_metric_families(text_of(engine, True))}
    assert read["nv_cpu_memory_total_bytes"] == psutil.virtual_memory().total
    assert 0 < read["nv_cpu_memory_used_bytes"] < read["nv_cpu_memory_total_bytes"]
    assert 0 <= read["nv_cpu_utilization"] <= 1


def test_other_collectors_may_join(engine: FakeEngine) -> None:
    registry = create_registry(engine.as_engine(), cpu_metrics=False)
    counter = Counter("requests", "of a model", ["kind"], registry=registry)
    counter.labels("x").inc(1.5)
    assert 'requests_total{kind="x"} 1.5' in exposition(registry.collect())
    unknown = Metric("some", "thing", "unknown")
    unknown.add_sample("some", {}, float("nan"))
    assert exposition([unknown]) == "# HELP some thing\n# TYPE some untyped\nsome NaN\n"
    assert exposition(CollectorRegistry().collect()) == ""


def test_the_metrics_port(server: RunningApp) -> None:
    reply = server.request("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers == {"content-type": "text/plain; charset=utf-8", "content-length": str(len(reply.body))}
    assert reply.body.startswith(b"# HELP nv_inference_request_success ")
    for path in ("/", "/metrics/", "/v2"):
        reply = server.request("GET", path)
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    reply = server.request("POST", "/metrics")
    assert (reply.status, reply.body) == (405, b'{"error":"Method Not Allowed"}')

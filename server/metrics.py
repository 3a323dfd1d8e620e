"""Prometheus metrics under Triton's names, and the application of the metrics port.

`prometheus_client` gives the model of families and samples, so that other collectors can join the registry; the
text is written here, because its own writer renames counters to `..._total`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Receive, Scope, Send

from tritonpy.scheduler.served_model import ServedModel
from tritonpy.scheduler.statistics import FailureReason, ModelStatistics
from tritonpy.server.engine import Engine
from tritonpy.server.http.answers import METHOD_NOT_ALLOWED, TEXT, Answer, error_answer, send_answer

CONTENT_TYPE = b"text/plain; charset=utf-8"
_NS_PER_US = 1000

# Of every model version: name, help, value. In the order in which they are shown.
_COUNTERS_AFTER_FAILURES: tuple[tuple[str, str, Callable[[ModelStatistics], int]], ...] = (
    ("nv_inference_count", "Number of inferences performed, without those from the cache", lambda s: s.inference_count),
    ("nv_inference_exec_count", "Number of batches executed", lambda s: s.execution_count),
    (
        "nv_inference_request_duration_us",
        "Microseconds from arrival to answer, over all successful requests",
        lambda s: (s.success.ns + s.cache_miss.ns) // _NS_PER_US,
    ),
    (
        "nv_inference_queue_duration_us",
        "Microseconds spent in the queue, over all successful requests",
        lambda s: s.queue.ns // _NS_PER_US,
    ),
    (
        "nv_inference_compute_input_duration_us",
        "Microseconds spent preparing inputs, over all successful requests",
        lambda s: s.compute_input.ns // _NS_PER_US,
    ),
    (
        "nv_inference_compute_infer_duration_us",
        "Microseconds spent running the model, over all successful requests",
        lambda s: s.compute_infer.ns // _NS_PER_US,
    ),
    (
        "nv_inference_compute_output_duration_us",
        "Microseconds spent extracting outputs, over all successful requests",
        lambda s: s.compute_output.ns // _NS_PER_US,
    ),
)


class ModelCollector(Collector):
    """The families of every ready model version."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        models = self._engine.served_models()
        yield _per_model(
            "nv_inference_request_success",
            "Number of successful requests",
            "counter",
            models,
            lambda statistics: statistics.success.count,
        )
        yield _failures(models)
        for name, documentation, value in _COUNTERS_AFTER_FAILURES:
            yield _per_model(name, documentation, "counter", models, value)
        yield _per_model(
            "nv_inference_pending_request_count",
            "Number of requests that wait for execution now",
            "gauge",
            models,
            lambda statistics: statistics.pending_count,
        )
        yield _load_durations(models)


def _per_model(
    name: str,
    documentation: str,
    kind: str,
    models: Iterable[ServedModel],
    value: Callable[[ModelStatistics], int],
) -> Metric:
    family = Metric(name, documentation, kind)
    for model in models:
        family.add_sample(name, _labels(model), value(model.statistics))
    return family


def _failures(models: Iterable[ServedModel]) -> Metric:
    family = Metric("nv_inference_request_failure", "Number of failed requests", "counter")
    for model in models:
        for reason in FailureReason:
            labels = {**_labels(model), "reason": reason.value}
            family.add_sample(family.name, labels, model.statistics.failures[reason])
    return family


def _load_durations(models: Iterable[ServedModel]) -> Metric:
    family = Metric("nv_model_load_duration_secs", "Seconds that loading the model took", "gauge")
    for model in models:
        family.add_sample(family.name, _labels(model), model.load_duration_s)
    return family


def _labels(model: ServedModel) -> dict[str, str]:
    """The labels of a model version: its name, its number, and the configuration's `metric_tags`."""
    tags = {f"_{key}": text for key, text in model.config.metric_tags.items()}
    return {**tags, "model": model.name, "version": str(model.version)}


class MachineCollector(Collector):
    """Use of CPU and memory of the whole machine."""

    def __init__(self) -> None:
        psutil.cpu_percent()  # starts the interval that the first collection reports

    def collect(self) -> Iterator[Metric]:
        memory = psutil.virtual_memory()
        yield _gauge("nv_cpu_utilization", "Busy share of all cores since the last time (0 to 1)", cpu_utilization())
        yield _gauge("nv_cpu_memory_total_bytes", "Memory of the machine in bytes", memory.total)
        yield _gauge("nv_cpu_memory_used_bytes", "Memory in use in bytes", memory.total - memory.available)


def cpu_utilization() -> float:
    """The busy share of all cores since the last call, 0 to 1."""
    return psutil.cpu_percent() / 100


def _gauge(name: str, documentation: str, value: float) -> Metric:
    family = Metric(name, documentation, "gauge")
    family.add_sample(name, {}, value)
    return family


def create_registry(engine: Engine, cpu_metrics: bool) -> CollectorRegistry:
    """A registry with the server's own families."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ModelCollector(engine))
    if cpu_metrics:
        registry.register(MachineCollector())
    return registry


def exposition(families: Iterable[Metric]) -> str:
    """The families in Prometheus' text format 0.0.4; a family without samples is left out altogether."""
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        lines.append(f"# HELP {family.name} {_escaped_help(family.documentation)}")
        lines.append(f"# TYPE {family.name} {'untyped' if family.type == 'unknown' else family.type}")
        lines.extend(f"{sample.name}{_label_text(sample.labels)} {_number(sample.value)}" for sample in family.samples)
    return "".join(f"{line}\n" for line in lines)


def _label_text(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped_label(labels[key])}"' for key in sorted(labels)) + "}"


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _escaped_label(text: str) -> str:
    return _escaped_help(text).replace('"', r"\"")


def _number(value: float) -> str:
    """A number as Triton prints it: without decimals when it is whole."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() else repr(value)


def create_metrics_app(registry: CollectorRegistry) -> ASGIApp:
    """The application of the metrics port: `GET /metrics`; other paths are empty, other methods refused."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await send_answer(send, error_answer(405, METHOD_NOT_ALLOWED, TEXT))
            return
        text = exposition(registry.collect()) if scope["path"] == "/metrics" else ""
        headers = [(b"content-type", CONTENT_TYPE)]
        await send_answer(send, Answer(200, headers, (text.encode("utf-8", "surrogateescape"),)))

    return app

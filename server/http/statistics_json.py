"""Statistics of models as the JSON that clients get."""

from __future__ import annotations

from collections.abc import Iterable

from tritonpy.scheduler.served_model import ServedModel
from tritonpy.scheduler.statistics import BatchStatistics, DurationCounter
from tritonpy.server.http import json_writing

_DURATIONS = (
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
)


def statistics_json(models: Iterable[ServedModel]) -> bytes:
    """`{"model_stats":[...]}` with one entry for each model version, in the given order."""
    return json_writing.value({"model_stats": [_entry(model) for model in models]})


def _entry(model: ServedModel) -> dict[str, object]:
    statistics = model.statistics
    return {
        "name": model.name,
        "version": str(model.version),
        "last_inference": statistics.last_inference_ms,
        "inference_count": statistics.inference_count,
        "execution_count": statistics.execution_count,
        "inference_stats": {name: _duration(getattr(statistics, name)) for name in _DURATIONS},
        "response_stats": {},
        "batch_stats": [_batch(size, batch) for size, batch in sorted(statistics.batch_stats.items())],
        "memory_usage": [],
    }


def _batch(batch_size: int, batch: BatchStatistics) -> dict[str, object]:
    return {
        "batch_size": batch_size,
        "compute_input": _duration(batch.compute_input),
        "compute_infer": _duration(batch.compute_infer),
        "compute_output": _duration(batch.compute_output),
    }


def _duration(counter: DurationCounter) -> dict[str, int]:
    return {"count": counter.count, "ns": counter.ns}

"""The statistics of a model version as the protocol's message."""

from __future__ import annotations

from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.scheduler.statistics import BatchStatistics, DurationCounter


def statistics_message(model: ServedModel) -> messages.ModelStatistics:
    """What has been counted for `model` since it was loaded."""
    counted = model.statistics
    return messages.ModelStatistics(
        name=model.name,
        version=str(model.version),
        last_inference=counted.last_inference_ms,
        inference_count=counted.inference_count,
        execution_count=counted.execution_count,
        inference_stats=messages.InferStatistics(
            success=_duration(counted.success),
            fail=_duration(counted.fail),
            queue=_duration(counted.queue),
            compute_input=_duration(counted.compute_input),
            compute_infer=_duration(counted.compute_infer),
            compute_output=_duration(counted.compute_output),
            cache_hit=_duration(counted.cache_hit),
            cache_miss=_duration(counted.cache_miss),
        ),
        batch_stats=[_batch(size, batch) for size, batch in sorted(counted.batch_stats.items())],
    )


def _duration(counter: DurationCounter) -> messages.StatisticDuration:
    return messages.StatisticDuration(count=counter.count, ns=counter.ns)


def _batch(size: int, batch: BatchStatistics) -> messages.InferBatchStatistics:
    return messages.InferBatchStatistics(
        batch_size=size,
        compute_input=_duration(batch.compute_input),
        compute_infer=_duration(batch.compute_infer),
        compute_output=_duration(batch.compute_output),
    )

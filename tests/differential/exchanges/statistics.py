"""Statistics: counts after known requests, and the list of all models.

The model "counted" serves only these exchanges, and each of its versions only one, so that its counts are exact.
"""

from __future__ import annotations

from tritonclient.grpc import service_pb2

from ..exchange import Differs, Exchange, GrpcRequest, Json
from .build import Input, call, get, infer_grpc, infer_json

COUNTS = ("inference_stats", "inference_count", "execution_count", "last_inference", "batch_stats")
RAISES, REFUSES = -1, -2
"""First elements that make the model raise, and answer with an error of its own."""


def rows(count: int, first: int = 5) -> Input:
    return Input("INPUT0", "INT32", [count, 2], [first] * 2 * count)


def wrong_type() -> Input:
    return Input("INPUT0", "FP32", [1, 2], [1.0, 2.0])


def statistics(name: str, version: str = "") -> GrpcRequest:
    message = service_pb2.ModelStatisticsRequest(name=name, version=version)
    return call("ModelStatistics", message, service_pb2.ModelStatisticsResponse)


SENT = (rows(1), rows(1), rows(3), rows(2, RAISES), wrong_type())
"""Three successes of 1, 1 and 3 rows, one failure of 2 rows, and one refusal that is not counted."""


def timed(count: int) -> Json:
    return {"count": count, "ns": "<time>" if count else 0}


def one_success_one_failure() -> Json:
    stages = ("compute_input", "compute_infer", "compute_output")
    once = {key: timed(1) for key in ("success", "fail", "queue", *stages)}
    return {
        "name": "counted",
        "version": "3",
        "last_inference": "<time>",
        "inference_count": 1,
        "execution_count": 2,
        "inference_stats": {**once, "cache_hit": timed(0), "cache_miss": timed(0)},
        "response_stats": {},
        "batch_stats": [{"batch_size": 1, **{key: timed(2) for key in stages}}],
        "memory_usage": [],
    }


OWN_ERROR_FAILS = Differs(
    {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "json": {"model_stats": [one_success_one_failure()]},
    },
    "the recorded server counts a request that the model answered with an error as a success",
)

EXCHANGES = (
    Exchange(
        "http-counts",
        get("/v2/models/counted/versions/1/stats"),
        before=tuple(infer_json("counted/versions/1", each) for each in SENT),
    ),
    Exchange(
        "grpc-counts",
        statistics("counted", "2"),
        before=tuple(infer_grpc("counted", each, model_version="2") for each in SENT),
    ),
    Exchange(
        "http-counts-of-models-own-error",
        get("/v2/models/counted/versions/3/stats"),
        before=(
            infer_json("counted/versions/3", rows(1)),
            infer_json("counted/versions/3", rows(1, REFUSES)),
        ),
        differs=OWN_ERROR_FAILS,
    ),
    Exchange("http-never-used", get("/v2/models/labelled/stats"), ignoring=COUNTS),
    Exchange("http-all-models", get("/v2/models/stats"), ignoring=COUNTS),
    Exchange("grpc-all-models", statistics(""), ignoring=COUNTS),
    Exchange("http-all-versions", get("/v2/models/two_versions/stats"), ignoring=COUNTS),
    Exchange("http-stats-unknown-model", get("/v2/models/nosuch/stats")),
    Exchange("http-stats-unknown-version", get("/v2/models/add_sub/versions/9/stats")),
    Exchange("http-stats-broken-model", get("/v2/models/broken/stats")),
    Exchange("grpc-stats-unknown-model", statistics("nosuch")),
    Exchange("grpc-stats-unknown-version", statistics("add_sub", "9")),
    Exchange("grpc-stats-bad-version", statistics("add_sub", "abc")),
)

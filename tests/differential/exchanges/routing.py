"""Paths, verbs and versions: what is found, and what is not."""

from __future__ import annotations

from tritonclient.grpc import service_pb2

from ..exchange import Exchange, GrpcRequest, HttpRequest
from .build import SERVICE, Input, fp32, get, infer_grpc, infer_json, infer_text, post

OVERFLOW = "9" * 25


def one() -> Input:
    return Input("INPUT0", "INT32", [1, 1], [7])


EXCHANGES = (
    *(
        Exchange(f"http-unknown-path-{name}", get(path))
        for name, path in (
            ("root", "/"),
            ("v1", "/v1/models"),
            ("trailing-slash", "/v2/"),
            ("health", "/v2/health"),
            ("health-trailing-slash", "/v2/health/live/"),
            ("upper-case", "/V2/health/live"),
            ("below-model", "/v2/models/identity/nosuch"),
            ("no-model", "/v2/models/"),
            ("model-list", "/v2/models"),
            ("version-word", "/v2/models/identity/versions/abc"),
            ("version-negative", "/v2/models/identity/versions/-1"),
            ("version-fraction", "/v2/models/identity/versions/1.5"),
            ("model-trailing-slash", "/v2/models/identity/"),
        )
    ),
    Exchange("http-query-is-ignored", get("/v2/models/raw_str?verbose=1")),
    Exchange("http-path-not-percent-decoded", get("/v2/models/raw%5Fstr")),
    Exchange("http-version-zero", get("/v2/models/identity/versions/0")),
    Exchange("http-version-leading-zero", get("/v2/models/two_versions/versions/03")),
    Exchange("http-version-overflow", get(f"/v2/models/identity/versions/{OVERFLOW}")),
    *(
        Exchange(f"http-verb-{verb.lower()}-{name}", HttpRequest(verb, path))
        for verb, name, path in (
            ("POST", "live", "/v2/health/live"),
            ("POST", "ready", "/v2/health/ready"),
            ("POST", "server-metadata", "/v2"),
            ("POST", "model-metadata", "/v2/models/identity"),
            ("POST", "model-ready", "/v2/models/identity/ready"),
            ("POST", "config", "/v2/models/identity/config"),
            ("POST", "stats", "/v2/models/identity/stats"),
            ("PUT", "model-metadata", "/v2/models/identity"),
            ("DELETE", "model-metadata", "/v2/models/identity"),
            ("PATCH", "model-metadata", "/v2/models/identity"),
            ("OPTIONS", "model-metadata", "/v2/models/identity"),
            ("HEAD", "live", "/v2/health/live"),
            ("GET", "infer", "/v2/models/identity/infer"),
            ("GET", "infer-of-unknown-model", "/v2/models/nosuch/infer"),
            ("PUT", "infer", "/v2/models/identity/infer"),
            ("POST", "unknown-path", "/v2/nosuch"),
            ("DELETE", "unknown-path", "/v2/nosuch"),
        )
    ),
    Exchange("http-infer-latest-version", infer_json("two_versions", one())),
    Exchange("http-infer-version", infer_json("two_versions/versions/1", one())),
    Exchange("http-infer-unknown-version", infer_json("two_versions/versions/2", one())),
    Exchange("http-infer-version-word", infer_json("two_versions/versions/one", one())),
    Exchange("http-infer-unknown-model", infer_json("nosuch", fp32(1.0))),
    Exchange("http-infer-unknown-model-bad-body", infer_text("nosuch", "{")),
    Exchange("http-infer-broken-model", infer_json("broken", fp32(1.0))),
    Exchange("http-infer-decoupled-model", infer_json("repeat", Input("IN", "INT32", [1], [1]))),
    Exchange("http-infer-decoupled-model-bad-body", infer_text("repeat", "{")),
    Exchange("http-infer-in-path-of-other-case", post("/v2/models/identity/Infer", "{}")),
    Exchange("grpc-infer-latest-version", infer_grpc("two_versions", one())),
    Exchange("grpc-infer-version", infer_grpc("two_versions", one(), model_version="1")),
    Exchange("grpc-infer-unknown-version", infer_grpc("two_versions", one(), model_version="2")),
    Exchange("grpc-infer-bad-version", infer_grpc("two_versions", one(), model_version="latest")),
    Exchange("grpc-infer-negative-version", infer_grpc("two_versions", one(), model_version="-1")),
    Exchange("grpc-infer-overflowing-version", infer_grpc("two_versions", one(), model_version=OVERFLOW)),
    Exchange("grpc-infer-unknown-model", infer_grpc("nosuch", fp32(1.0))),
    Exchange("grpc-infer-no-model-name", infer_grpc("", fp32(1.0))),
    Exchange("grpc-infer-broken-model", infer_grpc("broken", fp32(1.0))),
    Exchange("grpc-infer-decoupled-model", infer_grpc("repeat", Input("IN", "INT32", [1], [1]))),
    Exchange("grpc-unknown-method", GrpcRequest(SERVICE + "NoSuch", b"", None)),
    Exchange("grpc-unknown-service", GrpcRequest("/inference.NoSuch/ModelInfer", b"", None)),
    Exchange(
        "grpc-not-a-message",
        GrpcRequest(SERVICE + "ModelInfer", b"\xff\xff\xff\xff", service_pb2.ModelInferResponse),
    ),
)

"""Health of the server and of models, and the readiness of each version."""

from __future__ import annotations

from tritonclient.grpc import service_pb2

from ..exchange import Differs, Exchange, GrpcRequest
from .build import call, get, grpc_error, http_error


def model_ready(name: str, version: str = "") -> GrpcRequest:
    message = service_pb2.ModelReadyRequest(name=name, version=version)
    return call("ModelReady", message, service_pb2.ModelReadyResponse)


def not_found(message: str) -> tuple[Differs, Differs]:
    """The answers over HTTP and gRPC."""
    reason = "servers newer than the recorded one tell an unknown model or version from one that is not ready"
    http = http_error(404, message, "text/plain")
    return Differs(http, reason), Differs(grpc_error("NOT_FOUND", message), reason)


NO_MODEL, NO_MODEL_GRPC = not_found("Request for unknown model: 'nosuch' is not found")
NO_VERSION, NO_VERSION_GRPC = not_found("Request for unknown model: 'two_versions' version 2 is not found")
NEVER_LOADED, _ = not_found("Request for unknown model: 'bad_config' is not found")

EXCHANGES = (
    Exchange("http-live", get("/v2/health/live")),
    Exchange("http-ready", get("/v2/health/ready")),
    Exchange("http-model-ready", get("/v2/models/identity/ready")),
    Exchange("http-version-ready", get("/v2/models/two_versions/versions/1/ready")),
    Exchange("http-unknown-version-ready", get("/v2/models/two_versions/versions/2/ready"), differs=NO_VERSION),
    Exchange("http-unknown-model-ready", get("/v2/models/nosuch/ready"), differs=NO_MODEL),
    Exchange("http-broken-model-ready", get("/v2/models/broken/ready")),
    Exchange("http-broken-version-ready", get("/v2/models/broken/versions/1/ready")),
    Exchange("http-never-loaded-model-ready", get("/v2/models/bad_config/ready"), differs=NEVER_LOADED),
    Exchange("grpc-live", call("ServerLive", service_pb2.ServerLiveRequest(), service_pb2.ServerLiveResponse)),
    Exchange("grpc-ready", call("ServerReady", service_pb2.ServerReadyRequest(), service_pb2.ServerReadyResponse)),
    Exchange("grpc-health-check", GrpcRequest("/grpc.health.v1.Health/Check", b"", None)),
    Exchange("grpc-health-check-service", GrpcRequest("/grpc.health.v1.Health/Check", b"\n\x01x", None)),
    Exchange("grpc-model-ready", model_ready("identity")),
    Exchange("grpc-version-ready", model_ready("two_versions", "3")),
    Exchange("grpc-unknown-version-ready", model_ready("two_versions", "2"), differs=NO_VERSION_GRPC),
    Exchange("grpc-unknown-model-ready", model_ready("nosuch"), differs=NO_MODEL_GRPC),
    Exchange("grpc-broken-model-ready", model_ready("broken")),
    Exchange("grpc-ready-bad-version", model_ready("identity", "abc")),
)

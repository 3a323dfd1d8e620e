"""Metadata of the server and of models, and the model configuration."""

from __future__ import annotations

from tritonclient.grpc import service_pb2

from ..exchange import Exchange, GrpcRequest
from .build import call, get

MODELS = (
    "identity",
    "add_sub",
    "types",
    "repeat",
    "sleep",
    "optional_in",
    "two_versions",
    "labelled",
    "counted",
)


def model_metadata(name: str, version: str = "") -> GrpcRequest:
    message = service_pb2.ModelMetadataRequest(name=name, version=version)
    return call("ModelMetadata", message, service_pb2.ModelMetadataResponse)


def model_config(name: str, version: str = "") -> GrpcRequest:
    message = service_pb2.ModelConfigRequest(name=name, version=version)
    return call("ModelConfig", message, service_pb2.ModelConfigResponse)


def server_metadata() -> GrpcRequest:
    return call("ServerMetadata", service_pb2.ServerMetadataRequest(), service_pb2.ServerMetadataResponse)


EXCHANGES = (
    Exchange("http-server-metadata", get("/v2"), ignoring=("version",)),
    Exchange("grpc-server-metadata", server_metadata(), ignoring=("version",)),
    *(Exchange(f"http-metadata-{name}", get(f"/v2/models/{name}")) for name in MODELS),
    *(Exchange(f"http-config-{name}", get(f"/v2/models/{name}/config")) for name in MODELS),
    *(Exchange(f"grpc-metadata-{name}", model_metadata(name)) for name in ("add_sub", "types", "two_versions")),
    *(Exchange(f"grpc-config-{name}", model_config(name)) for name in ("add_sub", "identity", "sleep", "repeat")),
    Exchange("http-metadata-of-version", get("/v2/models/two_versions/versions/1")),
    Exchange("http-config-of-version", get("/v2/models/two_versions/versions/3/config")),
    Exchange("grpc-metadata-of-version", model_metadata("two_versions", "1")),
    Exchange("http-metadata-unknown-model", get("/v2/models/nosuch")),
    Exchange("http-metadata-unknown-version", get("/v2/models/identity/versions/9")),
    Exchange("http-metadata-broken-model", get("/v2/models/broken")),
    Exchange("http-metadata-broken-version", get("/v2/models/broken/versions/1")),
    Exchange("http-metadata-never-loaded", get("/v2/models/bad_config")),
    Exchange("http-config-unknown-model", get("/v2/models/nosuch/config")),
    Exchange("http-config-broken-model", get("/v2/models/broken/config")),
    Exchange("grpc-metadata-unknown-model", model_metadata("nosuch")),
    Exchange("grpc-metadata-no-model", model_metadata("")),
    Exchange("grpc-metadata-unknown-version", model_metadata("identity", "9")),
    Exchange("grpc-metadata-broken-model", model_metadata("broken")),
    Exchange("grpc-metadata-bad-version", model_metadata("identity", "abc")),
    Exchange("grpc-metadata-negative-version", model_metadata("identity", "-3")),
    Exchange("grpc-metadata-fractional-version", model_metadata("identity", "1.5")),
    Exchange("grpc-config-unknown-model", model_config("nosuch")),
)

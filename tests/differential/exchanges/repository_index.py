"""The index of the repository: ready models, the one that failed, the one never loaded; control that is off."""

from __future__ import annotations

from tritonclient.grpc import service_pb2

from ..exchange import Differs, Exchange, GrpcRequest
from .build import call, get, http_error, post

INDEX = "/v2/repository/index"


def index(repository: str = "", ready: bool = False) -> GrpcRequest:
    message = service_pb2.RepositoryIndexRequest(repository_name=repository, ready=ready)
    return call("RepositoryIndex", message, service_pb2.RepositoryIndexResponse)


def load(model: str) -> GrpcRequest:
    message = service_pb2.RepositoryModelLoadRequest(model_name=model)
    return call("RepositoryModelLoad", message, service_pb2.RepositoryModelLoadResponse)


def unload(model: str) -> GrpcRequest:
    message = service_pb2.RepositoryModelUnloadRequest(model_name=model)
    return call("RepositoryModelUnload", message, service_pb2.RepositoryModelUnloadResponse)


EXCHANGES = (
    Exchange("http-index", post(INDEX)),
    Exchange("http-index-empty-object", post(INDEX, "{}")),
    Exchange("http-index-ready", post(INDEX, '{"ready":true}')),
    Exchange("http-index-not-only-ready", post(INDEX, '{"ready":false}')),
    Exchange("http-index-of-a-repository", post("/v2/repository/any/index", '{"ready":true}')),
    Exchange(
        "http-index-ready-no-boolean",
        post(INDEX, '{"ready":"yes"}'),
        differs=Differs(
            http_error(400, "Invalid value for 'ready': expected a boolean"),
            "servers newer than the recorded one call it the client's fault and name the field",
        ),
    ),
    Exchange("http-index-bad-json", post(INDEX, "{ready}")),
    Exchange("http-index-get", get(INDEX)),
    Exchange("grpc-index", index()),
    Exchange("grpc-index-ready", index(ready=True)),
    Exchange("grpc-index-of-a-repository", index("any")),
    Exchange("http-load-without-control", post("/v2/repository/models/identity/load")),
    Exchange("http-unload-without-control", post("/v2/repository/models/identity/unload")),
    Exchange("grpc-load-without-control", load("identity")),
    Exchange("grpc-unload-without-control", unload("identity")),
)

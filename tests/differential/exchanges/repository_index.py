"""The index of the repository: ready models, the one that failed, the one never loaded; control that is off."""

from __future__ import annotations

from tritonclient.grpc import service_pb2

from ..exchange import Differs, Exchange, GrpcRequest, Json
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


READY = (
    ("add_sub", "1"),
    ("counted", "1"),
    ("counted", "2"),
    ("counted", "3"),
    *((name, "1") for name in ("errors", "grid", "ident_str", "identity", "labelled", "matrix", "no_execute")),
    *((name, "1") for name in ("optional_in", "params", "raw_str", "repeat", "sleep")),
    ("two_versions", "1"),
    ("two_versions", "3"),
    ("types", "1"),
)
BROKEN = {
    "name": "broken",
    "version": "1",
    "state": "UNAVAILABLE",
    "reason": "Internal: RuntimeError: this model never loads\n\nAt:\n  <path>/model.py(6): initialize\n",
}
BAD_CONFIG = {
    "name": "bad_config",
    "state": "UNAVAILABLE",
    "reason": "Invalid argument: bad_config/config.pbtxt:2:37: unknown value 'TYPE_FP33' of DataType; expected one of: "
    "TYPE_INVALID, TYPE_BOOL, TYPE_UINT8, TYPE_UINT16, TYPE_UINT32, TYPE_UINT64, TYPE_INT8, TYPE_INT16, TYPE_INT32, "
    "TYPE_INT64, TYPE_FP16, TYPE_FP32, TYPE_FP64, TYPE_STRING, TYPE_BF16",
}
ENTRIES: list[Json] = sorted(
    [*({"name": name, "version": version, "state": "READY"} for name, version in READY), BROKEN, BAD_CONFIG],
    key=lambda entry: (entry["name"], entry.get("version", "")),
)
TELLS_WHY = "a model whose configuration is wrong is listed with the reason, not by its name alone"
HTTP_INDEX = Differs({"status": 200, "headers": {"content-type": "application/json"}, "json": ENTRIES}, TELLS_WHY)
GRPC_INDEX = Differs({"code": "OK", "response": {"models": ENTRIES}}, TELLS_WHY)

EXCHANGES = (
    Exchange("http-index", post(INDEX), differs=HTTP_INDEX),
    Exchange("http-index-empty-object", post(INDEX, "{}"), differs=HTTP_INDEX),
    Exchange("http-index-ready", post(INDEX, '{"ready":true}')),
    Exchange("http-index-not-only-ready", post(INDEX, '{"ready":false}'), differs=HTTP_INDEX),
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
    Exchange("grpc-index", index(), differs=GRPC_INDEX),
    Exchange("grpc-index-ready", index(ready=True)),
    Exchange("grpc-index-of-a-repository", index("any")),
    Exchange("http-load-without-control", post("/v2/repository/models/identity/load")),
    Exchange("http-unload-without-control", post("/v2/repository/models/identity/unload")),
    Exchange("grpc-load-without-control", load("identity")),
    Exchange("grpc-unload-without-control", unload("identity")),
)

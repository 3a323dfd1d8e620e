"""What the server and its models say of themselves: metadata, configuration, statistics."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from starlette.responses import Response

from tritonpy.server.engine import Engine, ModelMetadata, ServerMetadata, TensorMetadata
from tritonpy.server.http import json_writing
from tritonpy.server.http.answers import json_answer
from tritonpy.server.http.responses import response
from tritonpy.server.http.statistics_json import statistics_json


def metadata_router(engine: Engine) -> APIRouter:
    """`/v2`, `/v2/models/{model}[/versions/{version}]` and their `config` and `stats`, `/v2/models/stats`.

    `/v2/models/stats` comes first: a model of that name cannot be asked for its metadata, as on the real server.
    """
    router = APIRouter(tags=["metadata"])

    @router.get("/v2", summary="Name, version and protocol extensions of the server")
    async def server_metadata() -> Response:
        return _json(server_document(engine.metadata()))

    @router.get("/v2/models/stats", summary="Statistics of all models")
    async def all_statistics() -> Response:
        return response(json_answer(statistics_json(engine.statistics())))

    for prefix in ("/v2/models/{model_name}", "/v2/models/{model_name}/versions/{version:digits}"):
        _add_model_routes(router, engine, prefix)
    return router


def _add_model_routes(router: APIRouter, engine: Engine, prefix: str) -> None:
    @router.get(prefix, summary="Inputs and outputs of a model")
    async def model_metadata(model_name: str, version: str = "") -> Response:
        return _json(model_document(engine.model_metadata(model_name, version)))

    @router.get(f"{prefix}/config", summary="Configuration of a model, completed")
    async def model_config(model_name: str, version: str = "") -> Response:
        return response(json_answer(engine.model(model_name, version).config_json))

    @router.get(f"{prefix}/stats", summary="Statistics of a model")
    async def model_statistics(model_name: str, version: str = "") -> Response:
        return response(json_answer(statistics_json(engine.statistics(model_name, version))))


def _json(document: object) -> Response:
    return response(json_answer(json_writing.value(document)))


def server_document(metadata: ServerMetadata) -> dict[str, object]:
    return {"name": metadata.name, "version": metadata.version, "extensions": metadata.extensions}


def model_document(metadata: ModelMetadata) -> dict[str, object]:
    return {
        "name": metadata.name,
        "versions": metadata.versions,
        "platform": metadata.platform,
        "inputs": _tensors(metadata.inputs),
        "outputs": _tensors(metadata.outputs),
    }


def _tensors(tensors: Iterable[TensorMetadata]) -> list[dict[str, object]]:
    return [{"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape} for tensor in tensors]

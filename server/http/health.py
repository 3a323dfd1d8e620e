"""Health of the server and of models: the status alone says it, the body is empty."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tritonpy.server.engine import Engine
from tritonpy.server.http.answers import TEXT, empty_answer, error_answer
from tritonpy.server.http.responses import HEALTH_TAG, response


def health_router(engine: Engine) -> APIRouter:
    """`/v2/health/live`, `/v2/health/ready` and the `ready` path of models."""
    router = APIRouter(tags=[HEALTH_TAG])

    @router.get("/v2/health/live", summary="Whether the server runs")
    async def live() -> Response:
        return _yes_or_no(engine.is_live())

    @router.get("/v2/health/ready", summary="Whether all models that should be ready are")
    async def ready() -> Response:
        return _yes_or_no(engine.is_ready())

    @router.get("/v2/models/{model_name}/ready", summary="Whether a model can be asked")
    async def model_ready(model_name: str) -> Response:
        return _model_yes_or_no(engine.is_model_ready(model_name))

    @router.get("/v2/models/{model_name}/versions/{version:digits}/ready", summary="Whether a version can be asked")
    async def version_ready(model_name: str, version: str) -> Response:
        return _model_yes_or_no(engine.is_model_ready(model_name, version))

    return router


def _yes_or_no(yes: bool) -> Response:
    return response(empty_answer(TEXT, 200 if yes else 400))


def _model_yes_or_no(yes: bool) -> Response:
    return response(empty_answer(TEXT) if yes else error_answer(400, "Model version not ready", TEXT))

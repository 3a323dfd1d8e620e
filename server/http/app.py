"""The HTTP application: the infer route by itself, every other route in FastAPI.

/v2/models/{model}[/versions/{version}]/infer    infer.InferEndpoint
everything else                                  FastAPI: health, metadata, repository; /docs and /openapi.json
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from tritonpy.server.engine import Engine
from tritonpy.server.http.health import health_router
from tritonpy.server.http.infer import InferEndpoint, infer_target
from tritonpy.server.http.metadata import metadata_router
from tritonpy.server.http.options import HttpOptions
from tritonpy.server.http.repository import repository_router
from tritonpy.server.http.responses import add_error_handlers


class DigitsConvertor(StringConvertor):
    """A path segment of digits, kept as text: a version may be too long for any integer."""

    regex = "[0-9]+"


class Application:
    """An ASGI application whose paths match exactly: they are not percent-decoded, and no slash is added or removed."""

    def __init__(self, infer: InferEndpoint, other_routes: ASGIApp) -> None:
        self._infer = infer
        self._other_routes = other_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other_routes(scope, receive, send)
            return
        raw_path: bytes = scope["raw_path"]
        target = infer_target(raw_path)
        if target is not None:
            await self._infer(target, scope, receive, send)
        else:
            await self._other_routes({**scope, "path": raw_path.decode("latin-1")}, receive, send)


def create_app(engine: Engine, options: HttpOptions) -> Application:
    """The application for `engine`."""
    return Application(InferEndpoint(engine, options), create_routes(engine, options))


def create_routes(engine: Engine, options: HttpOptions) -> FastAPI:
    """Every route but infer, which is in the OpenAPI document all the same."""
    register_url_convertor("digits", DigitsConvertor())
    app = FastAPI(
        title="tritonpy",
        description="KServe v2 inference protocol with Triton's extensions.",
        version=engine.metadata().version,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    add_error_handlers(app)
    app.include_router(health_router(engine))
    app.include_router(metadata_router(engine))
    app.include_router(repository_router(engine, options))
    _describe_infer(app)
    return app


def _describe_infer(app: FastAPI) -> None:
    document = app.openapi()
    for prefix, parameters in (
        ("/v2/models/{model_name}", ("model_name",)),
        ("/v2/models/{model_name}/versions/{version}", ("model_name", "version")),
    ):
        document["paths"][f"{prefix}/infer"] = {"post": _infer_operation(parameters)}


def _infer_operation(parameters: tuple[str, ...]) -> dict[str, Any]:
    """The OpenAPI operation of the infer route."""
    body = {"application/json": {"schema": {"type": "object"}}, "application/octet-stream": {"schema": {}}}
    return {
        "tags": ["inference"],
        "summary": "Run a model",
        "description": (
            "JSON, or JSON of Inference-Header-Content-Length bytes followed by binary tensors, or with that header "
            "0 the data of a single input."
        ),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
        ],
        "requestBody": {"content": body},
        "responses": {"200": {"description": "Outputs of the model", "content": body}},
    }

"""The model repository: what is in it, load and unload."""

from __future__ import annotations

import base64
import re

from fastapi import APIRouter, Request
from starlette.responses import Response

from tritonpy.backends.errors import InternalError, InvalidArgumentError, UnsupportedError
from tritonpy.repository.states import IndexEntry
from tritonpy.server.engine import Engine
from tritonpy.server.http import json_writing, limits
from tritonpy.server.http.answers import JSON, empty_answer, json_answer
from tritonpy.server.http.bodies import BodyLimit, read_body
from tritonpy.server.http.json_access import Json, as_boolean, as_string, has, members
from tritonpy.server.http.json_reading import read_json
from tritonpy.server.http.options import HttpOptions
from tritonpy.server.http.responses import response
from tritonpy.server.http.threads import run_if_large

_FILE_PREFIX = "file:"
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def repository_router(engine: Engine, options: HttpOptions) -> APIRouter:
    """`/v2/repository/index` and `/v2/repository/models/{model}/load` and `unload`."""
    router = APIRouter(tags=["repository"])
    limit_bytes = options.max_input_size_bytes

    @router.post("/v2/repository/index", summary="All models, with their state")
    @router.post("/v2/repository/{repository_name}/index", include_in_schema=False)
    async def index(request: Request) -> Response:
        ready_only = ready_filter(await read_document(request, limit_bytes))
        return response(json_answer(index_json(engine.repository_index(ready_only))))

    @router.post("/v2/repository/models/{model_name}/load", summary="Load or reload a model (control mode explicit)")
    async def load(request: Request, model_name: str) -> Response:
        config, files = load_parameters(await read_document(request, limit_bytes))
        await engine.load_model(model_name, config, files)
        return response(empty_answer(JSON))

    @router.post("/v2/repository/models/{model_name}/unload", summary="Unload a model (control mode explicit)")
    async def unload(request: Request, model_name: str) -> Response:
        await engine.unload_model(model_name, unload_dependents(await read_document(request, limit_bytes)))
        return response(empty_answer(JSON))

    @router.post("/v2/repository/{repository_name}/models/{model_name}/load", include_in_schema=False)
    @router.post("/v2/repository/{repository_name}/models/{model_name}/unload", include_in_schema=False)
    async def control_in_repository() -> Response:
        raise UnsupportedError("'repository_name' specification is not supported")

    return router


async def read_document(request: Request, limit_bytes: int) -> Json:
    """The JSON of a request's body, an empty object if it has none; a large one is parsed on a thread."""
    limit = BodyLimit(limit_bytes, lambda size_bytes: limits.json_too_large(size_bytes, limit_bytes))
    body = await read_body(request.receive, request.headers.get("content-length", ""), limit)
    if not body:
        return {}
    return await run_if_large(len(body) > limits.INLINE_JSON_BYTES, read_json, body)


def ready_filter(document: Json) -> bool:
    """Whether an index request wants ready models only; raises InvalidArgumentError if it does not say so clearly."""
    if not isinstance(document, dict) or "ready" not in document:
        return False
    ready = document["ready"]
    if not isinstance(ready, bool):
        raise InvalidArgumentError("Invalid value for 'ready': expected a boolean")
    return ready


def load_parameters(document: Json) -> tuple[str | None, dict[str, bytes]]:
    """The configuration (JSON text) and the files (path below the model's folder -> content) of a load request."""
    config: str | None = None
    files: dict[str, bytes] = {}
    if not isinstance(document, dict) or "parameters" not in document:
        return config, files
    for key, value in members(document["parameters"]).items():
        text = as_string(value)
        if key == "config":
            config = text
        elif key.startswith(_FILE_PREFIX):
            files[key.removeprefix(_FILE_PREFIX)] = decode_base64(text)
        else:
            raise InternalError("unexpected error on creating Triton parameter")
    return config, files


def decode_base64(text: str) -> bytes:
    """The content of base64 `text`, leniently: foreign characters are skipped and an incomplete end is dropped."""
    digits = _NO_BASE64.sub(b"", text.encode("utf-8", "surrogateescape"))
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return base64.b64decode(digits + b"=" * (-len(digits) % 4))


def unload_dependents(document: Json) -> bool:
    """Whether an unload request includes dependents; anything but a boolean counts as no."""
    if not isinstance(document, dict) or not has(parameters := document.get("parameters"), "unload_dependents"):
        return False
    value = members(parameters)["unload_dependents"]
    return isinstance(value, bool) and as_boolean(value)


def index_json(entries: list[IndexEntry]) -> bytes:
    """The index as the array that clients get; what an entry has no value for is left out."""
    return json_writing.value([_index_entry(entry) for entry in entries])


def _index_entry(entry: IndexEntry) -> dict[str, str]:
    members = {"name": entry.name, "version": entry.version, "state": entry.state, "reason": entry.reason}
    return {key: text for key, text in members.items() if text}

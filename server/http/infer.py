"""The infer route as a bare ASGI endpoint: the hot path of the server, beside FastAPI instead of under it.

    read the body -> parse -> submit -> wait for the response -> write it

Large JSON and compressed bodies are handled on a thread, so that they do not hold the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from tritonpy.backends.errors import TritonpyError, UnsupportedError
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.engine import Engine
from tritonpy.server.http import compression, limits
from tritonpy.server.http.answers import (
    JSON,
    METHOD_NOT_ALLOWED,
    SERVER_FAULT,
    TEXT,
    Answer,
    error_answer,
    failure,
    send_answer,
)
from tritonpy.server.http.bodies import BodyLimit, DisconnectedError, read_body
from tritonpy.server.http.compression import Encoding, UnsupportedEncodingError, decompress
from tritonpy.server.http.infer_headers import InferHeaders, header_size, infer_headers, json_size
from tritonpy.server.http.options import HttpOptions
from tritonpy.server.http.request_parsing import ParsedRequest, parse_request
from tritonpy.server.http.response_writing import is_large, write_response
from tritonpy.server.http.threads import run_if_large

logger = logging.getLogger(__name__)

_PATH = re.compile(rb"/v2/models/([^/]+)(?:/versions/([0-9]+))?/infer")


@dataclass(frozen=True, slots=True)
class Target:
    """The model and version text ("" if there is none) of an infer path."""

    model_name: str
    version: str


def infer_target(raw_path: bytes) -> Target | None:
    """What an undecoded path asks for, or None if it is no infer path."""
    if not raw_path.endswith(b"/infer"):
        return None
    match = _PATH.fullmatch(raw_path)
    if match is None:
        return None
    return Target(match[1].decode("utf-8", "surrogateescape"), (match[2] or b"").decode())


class InferEndpoint:
    """Answers `POST /v2/models/{model}[/versions/{version}]/infer`."""

    def __init__(self, engine: Engine, options: HttpOptions) -> None:
        self._engine = engine
        self._limit_bytes = options.max_input_size_bytes

    async def __call__(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(target, scope, receive)
        except DisconnectedError:
            return
        except asyncio.CancelledError:
            # Only the listener cancels, when the time that requests have to end at shutdown is over.
            answer = error_answer(503, "Server exiting", TEXT)
        except Exception:
            logger.exception("an infer request for model '%s' could not be answered", target.model_name)
            answer = error_answer(500, SERVER_FAULT, TEXT)
        await send_answer(send, answer)

    async def _answer(self, target: Target, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            return error_answer(405, METHOD_NOT_ALLOWED, TEXT)
        headers = infer_headers(scope)
        content_type = TEXT  # of an error: depends on how far the request has come
        try:
            model = self._find_model(target)
            body = await self._read_body(headers, receive)
            json_size_bytes = json_size(headers.json_size, len(body))
            content_type = JSON
            parsed = await self._parse(model, body, json_size_bytes)
            response = submit(model, parsed.request)
            content_type = TEXT
            return await self._write(model, parsed, await response, headers.accept_encoding)
        except UnsupportedEncodingError as error:
            answer = failure(error, TEXT)
            answer.headers.append((b"accept-encoding", compression.SUPPORTED.encode()))
            return answer
        except TritonpyError as error:
            return failure(error, content_type)

    def _find_model(self, target: Target) -> ServedModel:
        model = self._engine.model(target.model_name, target.version)
        if model.decoupled:
            raise UnsupportedError("HTTP end point doesn't support models with decoupled transaction policy")
        return model

    async def _read_body(self, headers: InferHeaders, receive: Receive) -> bytes:
        encoding = compression.request_encoding(headers.content_encoding)
        body = await read_body(receive, headers.body_size, self._body_limit(headers, encoding))
        if encoding is Encoding.IDENTITY:
            return body
        return await run_if_large(len(body) > limits.INLINE_COMPRESSION_BYTES, decompress, body, self._limit_bytes)

    def _body_limit(self, headers: InferHeaders, encoding: Encoding) -> BodyLimit:
        limit_bytes = self._limit_bytes
        if encoding is not Encoding.IDENTITY:
            return BodyLimit(limit_bytes, lambda _: limits.decompressed_too_large(limit_bytes))
        if headers.json_size is None:
            return BodyLimit(limit_bytes, lambda size_bytes: limits.json_too_large(size_bytes, limit_bytes))
        if header_size(headers.json_size) == 0:
            return BodyLimit(limit_bytes, lambda size_bytes: limits.raw_input_too_large(size_bytes, limit_bytes))
        return BodyLimit(limits.MAX_BODY_SIZE_BYTES, limits.body_too_large)

    async def _parse(self, model: ServedModel, body: bytes, json_size_bytes: int) -> ParsedRequest:
        large = json_size_bytes > limits.INLINE_JSON_BYTES
        return await run_if_large(large, parse_request, model, body, json_size_bytes, self._limit_bytes)

    async def _write(
        self, model: ServedModel, parsed: ParsedRequest, response: InferenceResponse, accept_encoding: str
    ) -> Answer:
        if response.error is not None:  # not raised: the requests of a batch may share the object
            return failure(response.error, TEXT)
        encoding = compression.response_encoding(accept_encoding) if accept_encoding else Encoding.IDENTITY
        forms = parsed.output_forms
        large = is_large(response, forms, encoding)
        return await run_if_large(large, write_response, model, parsed.request, response, forms, encoding)


def submit(model: ServedModel, request: InferenceRequest) -> asyncio.Future[InferenceResponse]:
    """Hand a request to its model; raises TritonpyError if it is refused.

    A client that goes away does not cancel its request: the model runs to the end, as on the real server.
    """
    future: asyncio.Future[InferenceResponse] = asyncio.get_running_loop().create_future()

    def reply(response: InferenceResponse) -> None:
        if not future.done():  # it is, when the server was shut down before the response came
            future.set_result(response)

    model.submit(request, reply)
    return future

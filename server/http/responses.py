"""Answers as responses of FastAPI, and errors that its routes and its router raise."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tritonpy.backends.errors import TritonpyError
from tritonpy.server.http.answers import (
    JSON,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    SERVER_FAULT,
    TEXT,
    Answer,
    empty_answer,
    error_answer,
    failure,
    send_answer,
)
from tritonpy.server.http.bodies import DisconnectedError

HEALTH_TAG = "health"
_MESSAGES = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}


class _AnswerResponse(Response):
    """Sends an answer exactly as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(status_code=answer.status)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_answer(send, self._answer)


def response(answer: Answer) -> Response:
    return _AnswerResponse(answer)


def add_error_handlers(app: FastAPI) -> None:
    """Answer TritonpyError, unknown paths, wrong methods and faults of the server in the protocol's form."""

    @app.exception_handler(TritonpyError)
    async def on_known_error(request: Request, error: TritonpyError) -> Response:
        return response(failure(error, _content_type(request)))

    @app.exception_handler(HTTPException)
    async def on_routing_error(request: Request, error: HTTPException) -> Response:
        message = _MESSAGES.get(error.status_code, str(error.detail))
        return response(error_answer(error.status_code, message, _content_type(request)))

    @app.exception_handler(DisconnectedError)
    async def on_disconnect(request: Request, error: DisconnectedError) -> Response:
        return response(empty_answer(TEXT, 400))  # nobody gets it

    @app.exception_handler(Exception)
    async def on_fault(request: Request, error: Exception) -> Response:
        # Starlette raises it again after this answer, so that the server logs it.
        return response(error_answer(500, SERVER_FAULT, _content_type(request)))


def _content_type(request: Request) -> bytes:
    """Every route speaks JSON, errors included, except health; neither do paths without a route."""
    route = request.scope.get("route")
    return TEXT if route is None or HEALTH_TAG in route.tags else JSON

"""The recorded answers: one JSON file for each group of exchanges."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from .exchange import Answer, Exchange, HttpRequest, Json, Request
from .transport import bytes_as_text, message_as_json

RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True, slots=True)
class Recording:
    """``request`` tells whether the recording still belongs to the exchange of that name."""

    request: Json
    answer: Answer


def load(group: str) -> dict[str, Recording]:
    """Return the recordings of a group by exchange name; none when it was never recorded."""
    path = RECORDED / f"{group}.json"
    if not path.exists():
        return {}
    entries = json.loads(path.read_text("utf-8"))
    return {name: Recording(entry["request"], entry["answer"]) for name, entry in entries.items()}


def save(group: str, recordings: dict[str, Recording]) -> None:
    entries: Json = {name: {"request": each.request, "answer": each.answer} for name, each in recordings.items()}
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{group}.json").write_text(as_text(entries) + "\n", "utf-8")


def as_text(value: Json) -> str:
    """JSON with sorted keys: equal values give equal text, NaN too, but 1 and 1.0, or 0.0 and -0.0, do not."""
    return json.dumps(value, indent=1, sort_keys=True)


def described(exchange: Exchange) -> Json:
    """The request, and those around it, in readable form."""
    description: dict[str, Json] = {"send": described_request(exchange.request)}
    for moment, requests in (("before", exchange.before), ("meanwhile", exchange.meanwhile)):
        if requests:
            description[moment] = [described_request(request) for request in requests]
    return description


def described_request(request: Request) -> Json:
    if isinstance(request, HttpRequest):
        headers = [f"{name}: {value}" for name, value in request.headers]
        body = request.body.decode("utf-8", "surrogateescape")
        return {"http": f"{request.method} {request.path}", "headers": [*headers], "body": body}
    return {"grpc": request.method, "message": _described_message(request.message)}


def _described_message(message: Message | bytes) -> Json:
    if isinstance(message, bytes):
        return {"bytes": bytes_as_text(message)}
    return message_as_json(message)

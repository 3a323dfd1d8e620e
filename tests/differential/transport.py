"""Sends the request of an exchange and writes its answer down as a JSON value."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import time
import zlib
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from .exchange import Answer, Exchange, GrpcRequest, HttpRequest, Json, Request

ANSWER_TIMEOUT_S = 30.0
MEANWHILE_GAP_S = 0.2
"""Time for a request that runs meanwhile to reach the model or its queue."""

COUNTED_AFTER_S = 0.2
"""Time for a server to count a request in its statistics: the real one does that after it has answered."""

BYTES_FIELDS = ("raw_input_contents", "raw_output_contents", "bytes_contents")
"""The fields of the inference messages whose values are bytes."""

COMPARED_HEADERS = ("content-type", "content-encoding", "accept-encoding", "inference-header-content-length")


class Connections:
    """Sends requests to one server: each HTTP request over its own connection, all calls over one channel."""

    def __init__(self, http_port: int, grpc_port: int) -> None:
        self._http_port = http_port
        self._channel = grpc.insecure_channel(f"127.0.0.1:{grpc_port}")

    def close(self) -> None:
        self._channel.close()

    def answer(self, exchange: Exchange) -> Answer:
        """Play the whole exchange and return the answer to its request."""
        for request in exchange.before:
            self._send(request)
            time.sleep(COUNTED_AFTER_S)
        with ThreadPoolExecutor() as threads:
            running = [self._start(threads, request) for request in exchange.meanwhile]
            answer = self._send(exchange.request, exchange.exact_text)
            for each in running:
                each.result()
        return answer

    def _start(self, threads: Executor, request: Request) -> Future[Answer]:
        started = threads.submit(self._send, request)
        time.sleep(MEANWHILE_GAP_S)
        return started

    def _send(self, request: Request, exact_text: bool = False) -> Answer:
        if isinstance(request, HttpRequest):
            return send_http(self._http_port, request, exact_text)
        return send_grpc(self._channel, request)


def send_http(port: int, request: HttpRequest, exact_text: bool) -> Answer:
    """Send exactly the headers of the request, besides Host and Content-Length."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.putrequest(request.method, request.path, skip_accept_encoding=True)
        for header, content in request.headers:
            connection.putheader(header, content)
        if "transfer-encoding" not in {name.lower() for name, _ in request.headers}:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        response = connection.getresponse()
        headers: dict[str, str] = {
            name: value for name in COMPARED_HEADERS if (value := response.getheader(name)) is not None
        }
        return {
            "status": response.status,
            "headers": {**headers},
            **_body(response.read(), headers, exact_text),
        }
    finally:
        connection.close()


def _body(body: bytes, headers: dict[str, str], exact_text: bool) -> Answer:
    body = _decompressed(body, headers.get("content-encoding", ""))
    header_length = int(headers.get("inference-header-content-length", len(body)))
    # surrogateescape: Triton writes the bytes of a BYTES tensor into its JSON as they are, no UTF-8 included.
    text = body[:header_length].decode("utf-8", "surrogateescape")
    if exact_text or not text.startswith(("{", "[")):
        return {"text": text}
    document = json.loads(text)
    if header_length == len(body):
        return {"json": document}
    return {"json": document, "binary": _blobs(document["outputs"], body[header_length:])}


def _decompressed(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


def _blobs(outputs: list[dict[str, Json]], tail: bytes) -> dict[str, Json]:
    """Cut the bytes after the JSON into one text per output; what is left over is called "rest"."""
    blobs: dict[str, Json] = {}
    for output in outputs:
        parameters = output.get("parameters")
        if isinstance(parameters, dict) and isinstance(size_bytes := parameters.get("binary_data_size"), int):
            blobs[str(output["name"])] = bytes_as_text(tail[:size_bytes])
            tail = tail[size_bytes:]
    return {**blobs, "rest": bytes_as_text(tail)} if tail else blobs


def send_grpc(channel: grpc.Channel, request: GrpcRequest) -> Answer:
    """Make the call with the message's bytes, so that what is no valid message can be sent too."""
    call = channel.unary_unary(request.method)
    try:
        reply = call(serialized(request.message), timeout=ANSWER_TIMEOUT_S)
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}
    if request.answer_type is None:
        return {"code": "OK", "response": bytes_as_text(reply)}
    return {"code": "OK", "response": message_as_json(request.answer_type.FromString(reply))}


def serialized(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def message_as_json(message: Message) -> Answer:
    """Only the fields that are set, so that a newer message definition does not change the text."""
    fields: Answer = MessageToDict(message, preserving_proto_field_name=True)
    return {key: _readable(key, value) for key, value in fields.items()}


def _readable(key: str, value: Json) -> Json:
    """Replace base64, protobuf's form of bytes in JSON, by text."""
    if isinstance(value, dict):
        return {inner: _readable(inner, each) for inner, each in value.items()}
    if isinstance(value, list):
        return [_readable(key, each) for each in value]
    return bytes_as_text(base64.b64decode(value)) if key in BYTES_FIELDS and isinstance(value, str) else value


def bytes_as_text(data: bytes) -> str:
    """One character for each byte, so that the text in a tensor can be read."""
    return data.decode("latin-1")

"""Compressed requests and responses."""

from __future__ import annotations

import gzip
import zlib

from ..exchange import Exchange, HttpRequest
from .build import HEADER_LENGTH, infer_text

VALID = b'{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","data":[1.5,2.5]}]}'
BINARY = b'{"inputs":[{"name":"INPUT0","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}'
BINARY_OUTPUT = b'{"parameters":{"binary_data_output":true},' + VALID[1:]


def encoded(body: bytes, name: str, **headers: str) -> HttpRequest:
    length = {HEADER_LENGTH: headers["length"]} if "length" in headers else {}
    return infer_text("identity", body, {"Content-Encoding": name, **length})


def accepting(value: str, body: bytes = VALID) -> HttpRequest:
    return infer_text("identity", body, {"Accept-Encoding": value})


EXCHANGES = (
    Exchange("http-gzip-request", encoded(gzip.compress(VALID, mtime=0), "gzip")),
    Exchange("http-deflate-request", encoded(zlib.compress(VALID), "deflate")),
    Exchange("http-identity-request", encoded(VALID, "identity")),
    Exchange("http-deflate-named-gzip", encoded(zlib.compress(VALID), "gzip")),
    Exchange(
        "http-gzip-binary-request",
        encoded(gzip.compress(BINARY + b"\x00\x00\x80?\x00\x00 @", mtime=0), "gzip", length=str(len(BINARY))),
    ),
    Exchange("http-brotli-request", encoded(VALID, "br")),
    Exchange("http-upper-case-request", encoded(gzip.compress(VALID, mtime=0), "GZIP")),
    Exchange("http-compressed-nothing", encoded(b"", "gzip")),
    Exchange("http-gzip-response", accepting("gzip")),
    Exchange("http-deflate-response", accepting("deflate")),
    Exchange("http-gzip-or-deflate-response", accepting("gzip, deflate")),
    Exchange("http-weighted-response", accepting("gzip;q=0.5,deflate;q=0.9")),
    Exchange("http-identity-first-response", accepting("identity, gzip")),
    Exchange("http-gzip-refused-response", accepting("gzip;q=0")),
    Exchange("http-any-response", accepting("*")),
    Exchange("http-brotli-response", accepting("br")),
    Exchange("http-gzip-binary-response", accepting("gzip", BINARY_OUTPUT)),
    Exchange("http-errors-are-not-compressed", accepting("gzip", b"{")),
)

"""Compression of inference bodies, both ways: `gzip` and `deflate` (which means zlib, RFC 1950)."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterable

from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.protos.bytes_codec import Buffer
from tritonpy.server.http.limits import decompressed_too_large


class Encoding(enum.Enum):
    """A content coding; the value is its name in headers."""

    IDENTITY = "identity"
    GZIP = "gzip"
    DEFLATE = "deflate"


SUPPORTED = "gzip, deflate"
"""What a request in another encoding is told in its `Accept-Encoding` header."""

_BY_NAME = {encoding.value: encoding for encoding in Encoding}
_GZIP_BITS = zlib.MAX_WBITS | 16
_DETECT_BITS = zlib.MAX_WBITS | 32
_WINDOW_BITS = {Encoding.GZIP: _GZIP_BITS, Encoding.DEFLATE: zlib.MAX_WBITS}


class UnsupportedEncodingError(UnsupportedError):
    """The body is in an encoding that the server does not read."""


def request_encoding(content_encoding: str) -> Encoding:
    """The encoding that a `Content-Encoding` header ("" if absent) names, in lower case exactly.

    Raises UnsupportedEncodingError for any other.
    """
    if not content_encoding:
        return Encoding.IDENTITY
    encoding = _BY_NAME.get(content_encoding)
    if encoding is None:
        raise UnsupportedEncodingError("Unsupported compression type")
    return encoding


def response_encoding(accept_encoding: str) -> Encoding:
    """The encoding that an `Accept-Encoding` header ("" if absent) prefers: the highest weight, then the first.

    A weight counts only when `;q=` is glued to the name; names that are not ours, and weight 0, are passed over.
    """
    best, best_weight = Encoding.IDENTITY, 0.0
    for token in accept_encoding.split(","):
        name, marker, weight_text = token.lstrip(" ").partition(";q=")
        encoding = _BY_NAME.get(name)
        weight = _weight(weight_text) if marker else 1.0
        if encoding is not None and weight > best_weight:
            best, best_weight = encoding, weight
    return best


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def decompress(body: Buffer, limit_bytes: int) -> bytes:
    """The content of a gzip or zlib body, whichever it is.

    Raises InvalidArgumentError if there is nothing, if it is neither, if it is cut or followed by something else,
    or if the content is larger than `limit_bytes`.
    """
    if not body:
        raise InvalidArgumentError("nothing to be decompressed")
    decompressor = zlib.decompressobj(_DETECT_BITS)
    try:
        content = decompressor.decompress(body, limit_bytes + 1)
    except zlib.error:
        raise InvalidArgumentError("failed to decompress the request body: expected gzip or zlib data") from None
    if len(content) > limit_bytes:
        raise decompressed_too_large(limit_bytes)
    if not decompressor.eof:
        raise InvalidArgumentError("failed to decompress the request body: it ends before its content does")
    if decompressor.unused_data:
        raise InvalidArgumentError(
            f"failed to decompress the request body: {len(decompressor.unused_data)} bytes follow its content"
        )
    return content


def compress(chunks: Iterable[Buffer], encoding: Encoding) -> bytes:
    """The chunks as one body in `encoding`, which is not IDENTITY."""
    compressor = zlib.compressobj(wbits=_WINDOW_BITS[encoding])
    parts = [compressor.compress(chunk) for chunk in chunks]
    parts.append(compressor.flush())
    return b"".join(parts)

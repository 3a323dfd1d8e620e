"""Content codings: which one is chosen, and both directions."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.server.http.compression import Encoding, compress, decompress, request_encoding, response_encoding


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", Encoding.IDENTITY),
        ("gzip", Encoding.GZIP),
        ("gzip, deflate", Encoding.GZIP),
        ("deflate, gzip", Encoding.DEFLATE),
        ("identity, gzip", Encoding.IDENTITY),
        ("gzip;q=0.5, deflate;q=0.7", Encoding.DEFLATE),
        ("gzip; q=0.5", Encoding.IDENTITY),
        ("gzip;q=0", Encoding.IDENTITY),
        ("gzip;q=x", Encoding.IDENTITY),
        ("gzip;q=nan", Encoding.IDENTITY),
        ("gzip;q=", Encoding.IDENTITY),
        ("*, br", Encoding.IDENTITY),
        ("GZIP", Encoding.IDENTITY),
        ("br, gzip;q=0.1", Encoding.GZIP),
        (",,  gzip", Encoding.GZIP),
        ("gzip ", Encoding.IDENTITY),
    ],
)
def test_encoding_of_the_response(header: str, expected: Encoding) -> None:
    assert response_encoding(header) is expected


def test_encoding_of_the_request() -> None:
    assert request_encoding("") is Encoding.IDENTITY
    assert request_encoding("identity") is Encoding.IDENTITY
    assert request_encoding("gzip") is Encoding.GZIP
    assert request_encoding("deflate") is Encoding.DEFLATE


@pytest.mark.parametrize("header", ["br", "GZIP", "gzip, deflate", "x"])
def test_other_encodings_of_the_request(header: str) -> None:
    with pytest.raises(UnsupportedError, match="^Unsupported compression type$"):
        request_encoding(header)


def test_either_format_is_detected() -> None:
    assert decompress(gzip.compress(b"abc"), 3) == b"abc"
    assert decompress(zlib.compress(b"abc"), 3) == b"abc"


RAW_DEFLATE = zlib.compress(b"abc" * 100)[2:-4]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "nothing to be decompressed"),
        (b"junk", "failed to decompress the request body: expected gzip or zlib data"),
        (RAW_DEFLATE, "failed to decompress the request body: expected gzip or zlib data"),
        (gzip.compress(b"abc" * 9)[:-9], "failed to decompress the request body: it ends before its content does"),
        (gzip.compress(b"abc") + b"xy", "failed to decompress the request body: 2 bytes follow its content"),
        (
            gzip.compress(bytes(101)),
            "Decompressed data size exceeds the maximum allowed value of 100 bytes. "
            "Use --http-max-input-size to increase the limit.",
        ),
    ],
)
def test_bodies_that_cannot_be_decompressed(body: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decompress(body, 100)
    assert caught.value.message == message


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(InvalidArgumentError, match="^Decompressed data size exceeds"):
        decompress(bomb, 1000)


@given(st.lists(st.binary()), st.sampled_from([Encoding.GZIP, Encoding.DEFLATE]))
def test_round_trip(chunks: list[bytes], encoding: Encoding) -> None:
    body = compress(map(memoryview, chunks), encoding)
    assert decompress(body, 10_000) == b"".join(chunks)
    plain = gzip.decompress(body) if encoding is Encoding.GZIP else zlib.decompress(body)
    assert plain == b"".join(chunks)

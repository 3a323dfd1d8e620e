"""The headers of infer requests."""

from __future__ import annotations

import pytest

from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.server.http.infer_headers import InferHeaders, header_size, infer_headers, json_size


def test_headers() -> None:
    headers = [
        (b"accept-encoding", b"gzip"),
        (b"accept-encoding", b"deflate"),
        (b"inference-header-content-length", b"5"),
        (b"content-length", b"9"),
        (b"x-other", b"y"),
    ]
    assert infer_headers({"headers": headers}) == InferHeaders("", "gzip", "5", "9")
    assert infer_headers({"headers": []}) == InferHeaders("", "", None, "")


@pytest.mark.parametrize(("header", "expected"), [(None, 106), ("0", 0), ("106", 106), ("+5", 5), ("007", 7)])
def test_size_of_the_json_part(header: str | None, expected: int) -> None:
    assert json_size(header, 106) == expected


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("9999", "inference header size should be in range (0, 106), got: 9999"),
        ("-1", "inference header size should be in range (0, 106), got: -1"),
        ("abc", "Unable to parse Inference-Header-Content-Length, got: abc"),
        ("", "Unable to parse Inference-Header-Content-Length, got: "),
        ("1.5", "Unable to parse Inference-Header-Content-Length, got: 1.5"),
        (
            "99999999999",
            "Unable to parse Inference-Header-Content-Length, value is out of range [ -2147483648, 2147483647 ], "
            "got: 99999999999",
        ),
    ],
)
def test_sizes_that_cannot_be(header: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        json_size(header, 106)
    assert caught.value.message == message


def test_a_size_of_many_digits_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="value is out of range"):
        header_size("9" * 10_000)

"""Bodies of repository requests."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonpy.server.http.repository import decode_base64


@given(st.binary())
def test_base64(content: bytes) -> None:
    assert decode_base64(base64.b64encode(content).decode()) == content


@pytest.mark.parametrize(
    ("text", "content"), [("YWJj\nZGVm", b"abcdef"), ("YWJ", b"ab"), ("!!", b""), ("YWJjZ", b"abc")]
)
def test_base64_is_read_leniently(text: str, content: bytes) -> None:
    assert decode_base64(text) == content


@given(st.text())
def test_any_text_is_some_base64(text: str) -> None:
    assert isinstance(decode_base64(text), bytes)

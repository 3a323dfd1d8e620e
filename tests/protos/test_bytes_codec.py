"""BYTES tensors on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonpy.protos import bytes_codec

ELEMENTS = st.lists(st.binary(max_size=20), max_size=20)


@given(ELEMENTS)
def test_what_is_encoded_comes_back(elements: list[bytes]) -> None:
    encoded = bytes_codec.encode_elements(elements)
    assert bytes_codec.decode_all_elements(encoded) == elements
    assert bytes_codec.decode_elements(memoryview(encoded), len(elements)) == elements
    bytes_codec.check_elements(encoded, len(elements))


def test_the_form_is_a_little_endian_length_and_the_bytes() -> None:
    assert bytes_codec.encode_elements([b"ab", "ä", b""]) == b"\2\0\0\0ab\2\0\0\0\xc3\xa4\0\0\0\0"


@given(ELEMENTS, st.integers(0, 25), st.integers(0, 200))
def test_checking_and_decoding_agree(elements: list[bytes], count: int, cut: int) -> None:
    buffer = bytes_codec.encode_elements(elements)[: max(0, cut)]
    outcomes = []
    for read in (bytes_codec.check_elements, bytes_codec.decode_elements):
        try:
            read(buffer, count)
            outcomes.append(True)
        except bytes_codec.BytesFormatError:
            outcomes.append(False)
    assert outcomes[0] == outcomes[1]
    assert outcomes[0] == (bytes_codec.encode_elements(elements[:count]) == buffer and len(elements) >= count)


@pytest.mark.parametrize(
    ("buffer", "count", "error"),
    [
        (b"\1\0\0\0a\1\0\0\0b", 1, bytes_codec.TooManyElements),
        (b"\1\0\0\0a", 2, bytes_codec.TooFewElements),
        (b"\1\0\0\0a\1\0", 2, bytes_codec.IncompleteLength),
        (b"\5\0\0\0ab", 1, bytes_codec.IncompleteElement),
    ],
)
def test_where_a_buffer_breaks(buffer: bytes, count: int, error: type[bytes_codec.BytesFormatError]) -> None:
    with pytest.raises(error):
        bytes_codec.check_elements(buffer, count)
    with pytest.raises(error):
        bytes_codec.decode_elements(buffer, count)


@given(ELEMENTS.filter(bool), st.data())
def test_a_cut_is_told_by_where_it_is(elements: list[bytes], data: st.DataObject) -> None:
    """Cut inside the last element or its length: the error says in which of them, and how much of it is there."""
    whole = bytes_codec.encode_elements(elements)
    last_start = len(whole) - 4 - len(elements[-1])
    cut = data.draw(st.integers(last_start + 1, len(whole) - 1))
    for read in (bytes_codec.check_elements, bytes_codec.decode_elements):
        with pytest.raises(bytes_codec.BytesFormatError) as caught:
            read(whole[:cut], len(elements))
        if cut - last_start < 4:
            assert isinstance(caught.value, bytes_codec.IncompleteLength)
            assert caught.value.available_bytes == cut - last_start
        else:
            assert isinstance(caught.value, bytes_codec.IncompleteElement)
            assert caught.value.length_bytes == len(elements[-1])
            assert caught.value.available_bytes == cut - last_start - 4


def test_errors_tell_numbers() -> None:
    with pytest.raises(bytes_codec.IncompleteElement) as element:
        bytes_codec.check_elements(b"\5\0\0\0ab", 1)
    assert (element.value.length_bytes, element.value.available_bytes) == (5, 2)
    with pytest.raises(bytes_codec.IncompleteLength) as length:
        bytes_codec.check_elements(b"\5\0", 1)
    assert length.value.available_bytes == 2
    with pytest.raises(bytes_codec.TooFewElements) as few:
        bytes_codec.check_elements(b"\0\0\0\0", 3)
    assert few.value.found_count == 1

"""BYTES tensors on the wire: each element is a little-endian uint32 length, then that many bytes, row-major."""

from __future__ import annotations

import struct
from collections.abc import Iterable

Buffer = bytes | bytearray | memoryview

_LENGTH = struct.Struct("<I")


class BytesFormatError(ValueError):
    """The buffer is no sequence of `expected_count` elements; subclasses say where it breaks."""


class TooManyElements(BytesFormatError):
    """Bytes follow the last expected element."""


class TooFewElements(BytesFormatError):
    """The buffer ends after `found_count` whole elements."""

    def __init__(self, found_count: int) -> None:
        super().__init__(found_count)
        self.found_count = found_count


class IncompleteLength(BytesFormatError):
    """The buffer ends inside a length, with `available_bytes` of its 4 bytes."""

    def __init__(self, available_bytes: int) -> None:
        super().__init__(available_bytes)
        self.available_bytes = available_bytes


class IncompleteElement(BytesFormatError):
    """The buffer ends inside an element of `length_bytes`, with `available_bytes` of it."""

    def __init__(self, length_bytes: int, available_bytes: int) -> None:
        super().__init__(length_bytes, available_bytes)
        self.length_bytes = length_bytes
        self.available_bytes = available_bytes


def encode_elements(elements: Iterable[bytes | str]) -> bytes:
    """The wire form of `elements`; text is encoded as UTF-8."""
    pack = _LENGTH.pack
    parts: list[bytes] = []
    for element in elements:
        raw = element.encode() if isinstance(element, str) else element
        parts.append(pack(len(raw)))
        parts.append(raw)
    return b"".join(parts)


def decode_all_elements(buffer: Buffer) -> list[bytes]:
    """Every element of a wire-form buffer, however many there are; raises BytesFormatError if it is cut short."""
    elements: list[bytes] = []
    unpack_from = _LENGTH.unpack_from
    position, end = 0, len(buffer)
    while position < end:
        if end - position < _LENGTH.size:
            raise IncompleteLength(end - position)
        (length,) = unpack_from(buffer, position)
        position += _LENGTH.size
        if end - position < length:
            raise IncompleteElement(length, end - position)
        elements.append(bytes(buffer[position : position + length]))
        position += length
    return elements


def decode_elements(buffer: Buffer, expected_count: int) -> list[bytes]:
    """The `expected_count` elements of a wire-form buffer; raises BytesFormatError when they do not fit."""
    elements = decode_all_elements(buffer)
    if len(elements) > expected_count:
        raise TooManyElements
    if len(elements) < expected_count:
        raise TooFewElements(len(elements))
    return elements


def check_elements(buffer: Buffer, expected_count: int) -> None:
    """Raise BytesFormatError unless `buffer` holds exactly `expected_count` whole elements; copies nothing."""
    unpack_from = _LENGTH.unpack_from
    position, end, count = 0, len(buffer), 0
    while position < end:
        if count == expected_count:
            raise TooManyElements
        if end - position < _LENGTH.size:
            raise IncompleteLength(end - position)
        (length,) = unpack_from(buffer, position)
        position += _LENGTH.size + length
        if position > end:
            raise IncompleteElement(length, end - (position - length))
        count += 1
    if count != expected_count:
        raise TooFewElements(count)

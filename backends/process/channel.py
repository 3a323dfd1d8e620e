"""Packets between the server and a worker: a JSON message, raw tensor bytes, and file descriptors.

The socket keeps packet boundaries (SOCK_SEQPACKET), so one system call sends or receives one packet. What does
not fit a packet travels in an anonymous file whose descriptor the packet carries.
"""

from __future__ import annotations

import array
import json
import mmap
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tritonpy.protos.bytes_codec import Buffer

Message = dict[str, Any]  # JSON by nature; each reader checks the fields it uses

# Below the kernel's default send buffer (208 KiB) with its per-packet overhead.
PACKET_LIMIT_BYTES = 96 * 1024
_FD_LIMIT = 8
_HEADER = struct.Struct("<BI")
_INLINE, _IN_FILE = 0, 1
_ANCILLARY_BYTES = socket.CMSG_SPACE(_FD_LIMIT * array.array("i").itemsize)


@dataclass(frozen=True, slots=True)
class Packet:
    """What one receive gave: the message, the raw bytes behind it, and descriptors that the receiver now owns."""

    message: Message
    payload: memoryview
    descriptors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OutgoingPacket:
    """An encoded packet. `close_after` are descriptors to close once it was sent."""

    buffers: Sequence[Buffer]
    descriptors: tuple[int, ...]
    close_after: tuple[int, ...] = ()


def encode_packet(
    message: Mapping[str, Any], payload: Sequence[Buffer] = (), descriptors: tuple[int, ...] = ()
) -> OutgoingPacket:
    """A packet ready to send. A message that does not fit beside its payload moves to a file.

    Raises ValueError when the payload alone is too large.
    """
    text = json.dumps(message, separators=(",", ":")).encode()
    payload_bytes = sum(map(len, payload))
    if len(text) + payload_bytes + _HEADER.size <= PACKET_LIMIT_BYTES:
        return OutgoingPacket((_HEADER.pack(_INLINE, len(text)), text, *payload), descriptors)
    if payload_bytes + _HEADER.size > PACKET_LIMIT_BYTES:
        raise ValueError(f"a packet holds at most {PACKET_LIMIT_BYTES} bytes, got {payload_bytes}")
    descriptor = anonymous_file(len(text), "message")
    with mmap.mmap(descriptor, len(text)) as file:
        file[:] = text
    header = _HEADER.pack(_IN_FILE, len(text))
    return OutgoingPacket((header, *payload), (*descriptors, descriptor), close_after=(descriptor,))


def anonymous_file(size_bytes: int, purpose: str) -> int:
    """A descriptor of anonymous memory: it has no name that others could open, needs no /dev/shm, and is gone with
    its last user."""
    descriptor = os.memfd_create(f"tritonpy-{purpose}", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size_bytes)
    return descriptor


class Channel:
    """One end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, packet: OutgoingPacket) -> None:
        """Send a packet whole. Raises BlockingIOError (nothing was sent) on a non-blocking socket whose peer is
        behind, and OSError when the peer is gone."""
        ancillary = []
        if packet.descriptors:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", packet.descriptors))]
        self._socket.sendmsg(packet.buffers, ancillary)
        for descriptor in packet.close_after:
            os.close(descriptor)

    def receive(self, flags: int = 0) -> Packet | None:
        """The next packet, or None when the peer has closed. Raises BlockingIOError when there is none yet and
        the socket (or MSG_DONTWAIT) does not wait."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(PACKET_LIMIT_BYTES, _ANCILLARY_BYTES, flags)
        except ConnectionResetError:
            return None
        if not data:
            return None
        return _decode_packet(data, _descriptors(ancillary))

    def close(self) -> None:
        self._socket.close()


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[int, ...]:
    received = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(data[: len(data) - len(data) % received.itemsize])
    return tuple(received)


def _decode_packet(data: bytes, descriptors: tuple[int, ...]) -> Packet:
    form, length = _HEADER.unpack_from(data)
    start = _HEADER.size
    if form == _IN_FILE:
        *others, descriptor = descriptors
        return Packet(json.loads(_read_file(descriptor, length)), memoryview(data)[start:], tuple(others))
    message = json.loads(data[start : start + length])
    return Packet(message, memoryview(data)[start + length :], descriptors)


def _read_file(descriptor: int, length: int) -> bytes:
    try:
        with mmap.mmap(descriptor, length) as file:
            return file[:]
    finally:
        os.close(descriptor)

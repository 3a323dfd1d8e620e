"""How far a worker has come, readable after its death: the number of batches that it has begun.

A few bytes of shared memory, because what a dead worker did not get to send is lost, and a batch that it never began
can be given to another without running anything twice.
"""

from __future__ import annotations

import mmap
import os
import struct

from tritonpy.backends.process.channel import Message, OutgoingPacket, anonymous_file, encode_packet

_COUNT = struct.Struct("<Q")


class Progress:
    """The counter, as the server reads it and the worker writes it."""

    def __init__(self, memory: mmap.mmap, descriptor: int = -1) -> None:
        self._memory = memory
        self._descriptor = descriptor

    @classmethod
    def create(cls) -> Progress:
        """A counter of the server, at 0; its descriptor goes to the worker with `packet`."""
        descriptor = anonymous_file(_COUNT.size, "progress")
        return cls(mmap.mmap(descriptor, _COUNT.size), descriptor)

    @classmethod
    def open(cls, descriptor: int) -> Progress:
        """The worker's view of the counter; takes the descriptor."""
        try:
            return cls(mmap.mmap(descriptor, _COUNT.size))
        finally:
            os.close(descriptor)

    def packet(self, message: Message) -> OutgoingPacket:
        """A packet with `message` that carries the descriptor; once for each counter."""
        packet = encode_packet(message, descriptors=(self._descriptor,))
        return OutgoingPacket(packet.buffers, packet.descriptors, (*packet.close_after, self._descriptor))

    @property
    def begun_count(self) -> int:
        count: int = _COUNT.unpack_from(self._memory)[0]
        return count

    def begin(self, batch_id: int) -> None:
        """The worker begins with a batch; batches are numbered from 0."""
        _COUNT.pack_into(self._memory, 0, batch_id + 1)

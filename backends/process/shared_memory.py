"""Blocks of shared memory for tensors too large for a packet.

Each side owns the blocks it writes (`BlockPool`) and maps those of its peer (`PeerBlocks`). A block belongs to
the reader from the packet that names it until the last view of it is gone; then the reader tells the owner, with
its next packet, that the block is free. So a model may keep an input as long as it likes, and an answer is
written to the client from the memory the model's worker wrote.
"""

from __future__ import annotations

import mmap
import os
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tritonpy.backends.process.channel import anonymous_file

SMALLEST_BLOCK_BYTES = 64 * 1024
Lease = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Block:
    """A block this side writes. `descriptor` is to be sent along the first time, then closed (-1: already sent)."""

    id: int
    size_bytes: int
    memory: mmap.mmap
    descriptor: int


class BlockPool:
    """The blocks that this side owns; sizes are powers of two, freed blocks are used again."""

    def __init__(self) -> None:
        self._next_id = 0
        self._free: dict[int, list[Block]] = {}
        self._lent: dict[int, Block] = {}

    def acquire(self, size_bytes: int) -> Block:
        """A block of at least `size_bytes`, lent until `release`. A new one carries its descriptor."""
        size = max(SMALLEST_BLOCK_BYTES, 1 << (size_bytes - 1).bit_length())
        free = self._free.get(size)
        block = free.pop() if free else self._create(size)
        self._lent[block.id] = Block(block.id, block.size_bytes, block.memory, -1)
        return block

    def release(self, block_id: int) -> None:
        """The reader has no view of the block any more."""
        block = self._lent.pop(block_id)
        self._free.setdefault(block.size_bytes, []).append(block)

    def clear(self) -> None:
        """The reader is gone: give all blocks back to the system."""
        self._free.clear()
        self._lent.clear()

    @property
    def lent_count(self) -> int:
        return len(self._lent)

    @property
    def created_count(self) -> int:
        return self._next_id

    def _create(self, size_bytes: int) -> Block:
        descriptor = anonymous_file(size_bytes, "tensors")
        self._next_id += 1
        return Block(self._next_id, size_bytes, mmap.mmap(descriptor, size_bytes), descriptor)


class PeerBlocks:
    """The peer's blocks, mapped here."""

    def __init__(self) -> None:
        self._memory: dict[int, mmap.mmap] = {}
        self._leases: dict[int, weakref.ref[Lease]] = {}
        self._released: list[int] = []

    def add(self, block_id: int, descriptor: int) -> None:
        """Map a block whose descriptor has just arrived; takes the descriptor."""
        try:
            self._memory[block_id] = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def lease(self, block_id: int) -> memoryview:
        """The bytes of a block (writable). The block counts as free when every view of them is gone."""
        array: Lease = np.frombuffer(self._memory[block_id], dtype=np.uint8)
        released, leases = self._released, self._leases

        def on_last_view_gone(_: Any) -> None:
            del leases[block_id]
            released.append(block_id)

        leases[block_id] = weakref.ref(array, on_last_view_gone)
        return array.data

    def take_released(self) -> list[int]:
        """The blocks that became free since the last call, to be told to their owner."""
        if not self._released:
            return []
        released = self._released[:]
        del self._released[: len(released)]
        return released

    def clear(self) -> None:
        """The owner is gone: unmap its blocks, each as soon as nobody looks at it any more."""
        self._memory.clear()

"""Reads a PyTorch state dict in the format from before version 1.6, without PyTorch.

Such a file is a row of pickles: a magic number, a format version, facts about the machine, the dictionary
itself and the keys of its storages; then each storage follows as an element count (8 bytes, little-endian)
and raw data. The unpickler knows only the few names that such a dictionary needs, so no other code can run.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(slots=True)
class _Storage:
    dtype: np.dtype[np.generic]
    values: Array = field(default_factory=lambda: np.empty(0))


@dataclass(slots=True)
class _Tensor:
    """A tensor whose storage is only read after the whole dictionary."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def as_array(self) -> Array:
        itemsize = self.storage.dtype.itemsize
        strides = tuple(stride * itemsize for stride in self.strides)
        values = self.storage.values[self.offset :]
        return np.array(np.lib.stride_tricks.as_strided(values, self.shape, strides))


class _StateDictUnpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"expected a state dict of plain tensors, but it names {module}.{name}")

    def persistent_load(self, identifier: tuple[str, np.dtype[np.generic], str, str, int, None]) -> _Storage:
        _, dtype, key, _, _, view = identifier
        if view is not None:
            raise pickle.UnpicklingError("a storage that is a view of another one is not supported")
        return self.storages.setdefault(key, _Storage(dtype))


def read_state_dict(path: Path) -> dict[str, Array]:
    """Name -> array, in the order of the file. Raises pickle.UnpicklingError for any other content."""
    with path.open("rb") as file:
        if pickle.Unpickler(file).load() != MAGIC_NUMBER:
            raise pickle.UnpicklingError(f"{path.name} is not a PyTorch file in the old format")
        for _ in ("format version", "facts about the machine"):
            _StateDictUnpickler(file).load()
        unpickler = _StateDictUnpickler(file)
        tensors = unpickler.load()
        for key in _StateDictUnpickler(file).load():
            storage = unpickler.storages[key]
            count = int.from_bytes(file.read(8), "little")
            storage.values = np.frombuffer(file.read(count * storage.dtype.itemsize), storage.dtype)
    return {name: tensor.as_array() for name, tensor in tensors.items()}

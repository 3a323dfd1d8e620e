"""What is in a .pt2 file: a zip archive, of torch.export or of AOTInductor.

torch.export.load reads some entries with the full unpickler, which runs whatever code the file asks for. A model
file is data here, so these entries are first read with the unpickler that only knows tensors and plain values; a file
that does not pass is refused.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from tritonpy.backends.errors import InternalError

_INDUCTOR_FOLDER = "data/aotinductor/"
_CONFIG_SUFFIX = "_config.json"
_TENSOR_FOLDERS = ("data/weights/", "data/constants/")
_WHOLE_PICKLES = ("data/sample_inputs/", *_TENSOR_FOLDERS)
# The format of torch 2.7 and older has these entries and no folders.
_OLD_PREFIX = "serialized_"
_OLD_PROGRAM = "serialized_exported_program.json"


def is_inductor_package(path: Path) -> bool:
    """Whether a .pt2 file holds compiled code rather than an exported program.

    Raises InternalError if it is no .pt2 file.
    """
    with _open(path) as archive:
        return any(_INDUCTOR_FOLDER in name for name in archive.namelist())


def refuse_objects(path: Path) -> None:
    """Raise InternalError if a .pt2 file holds pickled objects other than tensors and plain values."""
    with _open(path) as archive:
        for name in _pickled_entries(archive):
            content = archive.read(name)
            if content:
                _check_pickle(content, name)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise InternalError(f"'{path.name}' is no archive of torch.export or AOTInductor: it is no zip file") from None


def _pickled_entries(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in archive.namelist():
        if name.startswith(_OLD_PREFIX):
            if name != _OLD_PROGRAM:
                yield name
        elif name.endswith(".pt") and any(folder in name for folder in _WHOLE_PICKLES):
            yield name
        elif name.endswith(_CONFIG_SUFFIX) and any(folder in name for folder in _TENSOR_FOLDERS):
            folder = name[: name.rindex("/") + 1]
            payloads = json.loads(archive.read(name))["config"].values()
            yield from (folder + payload["path_name"] for payload in payloads if payload["use_pickle"])


def _check_pickle(content: bytes, name: str) -> None:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InternalError(
            f"the file holds pickled objects ({name.rpartition('/')[2]}), which could run any code when they are "
            "loaded; only tensors, numbers, text and containers of these are accepted. Export the model again with "
            "plain tensors as its inputs and constants."
        ) from error

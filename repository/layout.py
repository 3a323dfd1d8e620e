"""Models and versions as folders: `<repository>/<model>/[config.pbtxt]/<version>/<file>`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tritonpy.backends.errors import InternalError, InvalidArgumentError

CONFIG_FILENAME = "config.pbtxt"
# Folders of a model that are not versions, whatever their name.
_RESERVED = frozenset({"configs", "initial_state", "warmup"})
# 18 digits fit into 64 bits.
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}")


def check_repositories(repositories: Sequence[Path]) -> None:
    """Raise InvalidArgumentError if a repository is no folder that can be read."""
    for repository in repositories:
        if not repository.is_dir():
            raise InvalidArgumentError(f"repository path is not a valid directory: '{repository}'")


def find_models(repositories: Sequence[Path]) -> dict[str, list[Path]]:
    """The folders of each model, by name. More than one folder means that the name is not unique.

    Every folder directly inside a repository is a model; plain files are ignored. A repository that is given twice
    counts once. Raises InternalError if a repository cannot be read.
    """
    found: dict[str, list[Path]] = {}
    for repository in {path.resolve(): path for path in repositories}.values():
        for folder in _folders(repository):
            found.setdefault(folder.name, []).append(folder)
    return dict(sorted(found.items()))


def _folders(directory: Path) -> list[Path]:
    try:
        return [entry for entry in directory.iterdir() if entry.is_dir()]
    except OSError as error:
        raise InternalError(f"folder '{directory.name}' cannot be read: {error.strerror}") from None


def find_versions(model_directory: Path) -> list[int]:
    """The versions of a model, ascending: folders named by a plain decimal number without leading zeros."""
    return sorted(int(folder.name) for folder in _folders(model_directory) if _VERSION.fullmatch(folder.name))


def first_version_directory(model_directory: Path) -> Path | None:
    """The folder that tells which backend a model without configuration is for: the first in text order, as in
    Triton."""
    folders = sorted(folder for folder in _folders(model_directory) if folder.name not in _RESERVED)
    return folders[0] if folders else None

"""The states of model versions, and the entries of the repository index."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ModelState(enum.Enum):
    """Where a model version is in its life; the value is what the index says."""

    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


UNLOADED_REASON = "unloaded"


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A row of the repository index; version, state and reason are "" where there is nothing to say."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""

"""What the model manager can be told."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class ControlMode(enum.Enum):
    """Who decides which models are loaded; the value is the text of `--model-control-mode`."""

    NONE = "none"
    EXPLICIT = "explicit"


@dataclass(frozen=True, slots=True)
class RepositoryOptions:
    """The model repositories and how their models are loaded.

    `load_models` are the models to load at start-up in mode EXPLICIT ("*" for all). `backend_config` maps a backend
    ("" for all of them) to its `--backend-config` settings.
    """

    repositories: tuple[Path, ...]
    control_mode: ControlMode = ControlMode.NONE
    load_models: tuple[str, ...] = ()
    auto_complete: bool = True
    strict_readiness: bool = True
    exit_on_error: bool = True
    model_load_thread_count: int = 4
    backend_config: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def backend_settings(self, backend: str) -> dict[str, str]:
        """The settings of one backend: those for all, overridden by its own."""
        return {**self.backend_config.get("", {}), **self.backend_config.get(backend, {})}

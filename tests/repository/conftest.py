from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository.configs import make_model


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with model `a`, version 1, and model `b`, versions 1 and 2."""
    directory = tmp_path / "models"
    make_model(directory, "a")
    make_model(directory, "b", ["1", "2"])
    return directory

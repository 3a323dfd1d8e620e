"""The shape of the project: floors import downwards only, and every folder with code is installed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("protos", "backends", "scheduler", "repository", "server")


def imported_floors(path: Path) -> set[str]:
    """The floors that a module imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("tritonpy.")}


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_nothing_from_above(floor: str) -> None:
    allowed = set(FLOORS[: FLOORS.index(floor) + 1])
    for path in (ROOT / floor).rglob("*.py"):
        assert imported_floors(path) <= allowed, f"{path.relative_to(ROOT)} imports a floor above its own"


def test_every_package_is_listed_for_installation() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    listed = set(re.findall(r'"(tritonpy\.[\w.]+)",', text.split("packages = [")[1].split("]")[0]))
    found = {
        "tritonpy." + str(path.parent.relative_to(ROOT)).replace("/", ".")
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*.py")
    }
    assert found == listed

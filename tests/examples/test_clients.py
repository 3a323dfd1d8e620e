"""The client scripts as files: short, valid and described. That they work is shown by the end-to-end test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLIENTS = ("classify_image", "detect_speech", "embed_texts", "identify_file", "read_text_in_image")
LONGEST_CLIENT_LINES = 30


def test_every_client_is_known_here() -> None:
    assert {path.stem for path in (EXAMPLES / "clients").glob("*.py")} == {*CLIENTS, "ocr_support"}


@pytest.mark.parametrize("client", CLIENTS)
def test_client_is_short(client: str) -> None:
    lines = (EXAMPLES / "clients" / f"{client}.py").read_text("utf-8").splitlines()
    assert len(lines) <= LONGEST_CLIENT_LINES


@pytest.mark.parametrize("client", CLIENTS)
def test_client_starts_and_explains_itself(client: str) -> None:
    command = [sys.executable, str(EXAMPLES / "clients" / f"{client}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "--url" in done.stdout


@pytest.mark.parametrize("client", CLIENTS)
def test_readme_shows_the_command(client: str) -> None:
    assert f"examples/clients/{client}.py" in (EXAMPLES / "README.md").read_text("utf-8")

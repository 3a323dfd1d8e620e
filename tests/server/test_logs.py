"""The log's line format and switches."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from tritonpy.server import logs
from tritonpy.server.options import LogOptions


@pytest.fixture(autouse=True)
def _restore_logging() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(path: Path, options: LogOptions) -> list[str]:
    """What a logger writes with these options."""
    logs.configure(options)
    logger = logging.getLogger("a")
    logger.debug("detail")
    logger.info('said "so"\nand so')
    logger.warning("careful")
    logger.error("broken")
    return path.read_text().splitlines()


def test_lines_look_like_tritons(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written = lines(path, LogOptions(0, True, True, True, str(path)))
    assert [line[0] for line in written] == ["I", "W", "E"]
    assert re.fullmatch(r'I\d{4} \d\d:\d\d:\d\d\.\d{6} \d+ test_logs\.py:\d+\] "said \\"so\\"\\nand so"', written[0])


def test_levels_can_be_switched(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written = lines(path, LogOptions(1, False, True, False, str(path)))
    assert [line[0] for line in written] == ["V", "W"]


def test_a_log_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        logs.configure(LogOptions(0, True, True, True, str(tmp_path / "no" / "log")))

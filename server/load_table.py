"""The table of models that is printed when the server has started."""

from __future__ import annotations

from collections.abc import Sequence

from tritonpy.repository.states import IndexEntry

_HEADINGS = ("Model", "Version", "Status")


def load_table(entries: Sequence[IndexEntry]) -> str:
    """One row for each model version: its state, and the reason if it is not ready."""
    rows = [_HEADINGS, *((entry.name, entry.version, _status(entry)) for entry in entries)]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = [rule, *_lines(rows[0], widths), rule]
    for row in rows[1:]:
        lines += _lines(row, widths)
    return "\n".join([*lines, rule])


def _status(entry: IndexEntry) -> str:
    state = entry.state or "not loaded"
    return f"{state}: {entry.reason.strip()}" if entry.reason else state


def _width(cell: str) -> int:
    return max(len(line) for line in cell.split("\n"))


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The text lines of a row, whose cells may have several."""
    cells = [cell.split("\n") for cell in row]
    height = max(len(cell) for cell in cells)
    padded = [cell + [""] * (height - len(cell)) for cell in cells]
    return [
        "| " + " | ".join(line.ljust(width) for line, width in zip(parts, widths, strict=True)) + " |"
        for parts in zip(*padded, strict=True)
    ]

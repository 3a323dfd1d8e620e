"""The start-up table."""

from __future__ import annotations

from tritonpy.repository.states import IndexEntry
from tritonpy.server.load_table import load_table


def test_states_and_reasons_are_shown_over_several_lines() -> None:
    table = load_table(
        [IndexEntry("a", "1", "READY"), IndexEntry("b", "", "UNAVAILABLE", "bad\nvery bad\n"), IndexEntry("c")]
    )
    assert table.splitlines() == [
        "+-------+---------+------------------+",
        "| Model | Version | Status           |",
        "+-------+---------+------------------+",
        "| a     | 1       | READY            |",
        "| b     |         | UNAVAILABLE: bad |",
        "|       |         | very bad         |",
        "| c     |         | not loaded       |",
        "+-------+---------+------------------+",
    ]

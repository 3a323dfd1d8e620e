"""Replays every exchange against a server and compares its answer with the real tritonserver's recorded one.

The server is the ``tritonpy-server`` beside the Python that runs the tests. The environment variable
TRITONPY_DIFFERENTIAL_SERVER may hold another command: then the recorded answers themselves are expected, without
the entries that say where tritonpy differs, so that a real tritonserver can be checked against its recordings.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .exchange import Answer, Exchange
from .exchanges import GROUPS
from .normalise import normalised
from .pending import PENDING
from .recordings import as_text, described, load
from .server_process import RunningServer, running_server

OTHER_SERVER = os.environ.get("TRITONPY_DIFFERENTIAL_SERVER", "")
RECORDINGS = {group: load(group) for group in GROUPS}
ALL = [(group, exchange) for group, exchanges in GROUPS.items() for exchange in exchanges]
IDS = [f"{group}-{exchange.name}" for group, exchange in ALL]


def marked(group: str, exchange: Exchange) -> object:
    reason = PENDING.get(group) or PENDING.get(f"{group}-{exchange.name}")
    if reason and not OTHER_SERVER:
        return pytest.param(group, exchange, marks=pytest.mark.xfail(strict=True, reason=reason))
    return pytest.param(group, exchange)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    ours = [str(Path(sys.executable).with_name("tritonpy-server"))]
    command = shlex.split(OTHER_SERVER) or ours
    with running_server(command, tmp_path_factory.mktemp("differential")) as running:
        yield running


@pytest.mark.parametrize(("group", "exchange"), [marked(*each) for each in ALL], ids=IDS)
def test_answer_is_the_real_servers(group: str, exchange: Exchange, server: RunningServer) -> None:
    got = normalised(server.connections.answer(exchange), server.repository, exchange.ignoring)
    server.check_alive()
    expected = expected_answer(group, exchange)
    if as_text(compared(got, exchange)) != as_text(compared(expected, exchange)):
        pytest.fail(f"expected:\n{as_text(expected)}\ngot:\n{as_text(got)}\n{reasons(exchange)}", pytrace=False)


def expected_answer(group: str, exchange: Exchange) -> Answer:
    if exchange.differs and not OTHER_SERVER:
        return exchange.differs.answer
    return RECORDINGS[group][exchange.name].answer


def compared(answer: Answer, exchange: Exchange) -> Answer:
    """Replace a message that only needs to match a pattern, and does, by the pattern."""
    if exchange.loosely is None or not re.fullmatch(exchange.loosely.pattern, message(answer), re.DOTALL):
        return answer
    pattern = f"<{exchange.loosely.pattern}>"
    return {**answer, "details": pattern} if "details" in answer else {**answer, "json": {"error": pattern}}


def message(answer: Answer) -> str:
    """Return the error message of an answer, "" for a success."""
    document = answer.get("json")
    return str(document.get("error", "")) if isinstance(document, dict) else str(answer.get("details", ""))


def reasons(exchange: Exchange) -> str:
    notes = [f"differs on purpose: {exchange.differs.reason}"] if exchange.differs else []
    return "\n".join(notes + ([f"message compared loosely: {exchange.loosely.reason}"] if exchange.loosely else []))


@pytest.mark.parametrize("group", GROUPS)
def test_recordings_belong_to_the_exchanges(group: str) -> None:
    recorded = {name: as_text(each.request) for name, each in RECORDINGS[group].items()}
    assert recorded == {exchange.name: as_text(described(exchange)) for exchange in GROUPS[group]}, "record again"


@pytest.mark.parametrize(("group", "exchange"), ALL, ids=IDS)
def test_rules_of_comparison_are_needed(group: str, exchange: Exchange) -> None:
    recorded = RECORDINGS[group][exchange.name].answer
    if exchange.differs:
        assert as_text(compared(recorded, exchange)) != as_text(compared(exchange.differs.answer, exchange))
    if exchange.loosely:
        assert re.fullmatch(exchange.loosely.pattern, message(recorded), re.DOTALL)


@pytest.mark.parametrize("group", GROUPS)
def test_names_are_unique(group: str) -> None:
    names = [exchange.name for exchange in GROUPS[group]]
    assert len(names) == len(set(names))


def test_pending_names_exchanges() -> None:
    assert not PENDING.keys() - GROUPS.keys() - set(IDS)

"""Shows the servers' logs with a test that fails."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from .server import started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        concerned = [server for server in started if server.process.poll() is None or server is started[-1]]
        report.sections.extend(
            (f"log of the server with pid {each.process.pid}", each.log_tail()) for each in concerned
        )
    return report

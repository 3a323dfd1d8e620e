"""Fixtures over a test module's `server`; shows the servers' logs with a test that fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
import tritonclient.grpc as triton

from .scripted import Models, ScriptedModel
from .server import Server, started


@pytest.fixture(scope="module")
def grpc_client(server: Server) -> Iterator[triton.InferenceServerClient]:
    """A client of the module's server."""
    with triton.InferenceServerClient(server.grpc_url) as client:
        yield client


@pytest.fixture(scope="module")
def model(
    server: Server, grpc_client: triton.InferenceServerClient, tmp_path_factory: pytest.TempPathFactory
) -> Models:
    """Gives the client's side of a scripted model of the module's server."""
    gates = tmp_path_factory.mktemp("gates")
    return lambda name: ScriptedModel(server, grpc_client, name, gates)


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


def pytest_sessionfinish() -> None:
    """End the servers that a failed test has left."""
    for server in started:
        if server.process.poll() is None:
            server.kill()

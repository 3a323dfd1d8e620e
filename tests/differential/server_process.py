"""Starts an inference server, the real one or ours, on a copy of the models and stops it again."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .transport import Connections

MODELS = Path(__file__).parent / "models"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
OPTIONS = ("--exit-on-error=false", "--strict-readiness=false", "--exit-timeout-secs=5")
"""One of the models cannot be loaded on purpose, hence the first two."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A started server: its process, its log file, its copy of the models, and the way to reach it."""

    process: subprocess.Popen[bytes]
    log: Path
    repository: Path
    connections: Connections

    def last_log_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def check_alive(self) -> None:
        """Raise RuntimeError with the end of the log if the server has ended."""
        if (status := self.process.poll()) is not None:
            raise RuntimeError(f"the server ended with status {status}; its log ends:\n{self.last_log_lines()}")


@contextmanager
def running_server(command: Sequence[str], folder: Path) -> Iterator[RunningServer]:
    """Start ``command`` on a copy of the models in ``folder``, yield it once it is live, and stop it."""
    repository = folder / "models"
    shutil.copytree(MODELS, repository)
    http_port, grpc_port, metrics_port = free_ports(3)
    arguments = [
        *command,
        f"--model-repository={repository}",
        f"--http-port={http_port}",
        f"--grpc-port={grpc_port}",
        f"--metrics-port={metrics_port}",
        *OPTIONS,
    ]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT)
    connections = Connections(http_port, grpc_port)
    server = RunningServer(process, folder / "server.log", repository, connections)
    try:
        wait_until_live(server, http_port)
        yield server
    finally:
        connections.close()
        stop(process)


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on; all are held while they are chosen, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until_live(server: RunningServer, http_port: int) -> None:
    """Raise RuntimeError if the server ends or is not live in time."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        server.check_alive()
        if is_live(http_port):
            return
        time.sleep(0.1)
    raise RuntimeError(f"not live after {START_TIMEOUT_S:.0f} s; its log ends:\n{server.last_log_lines()}")


def is_live(http_port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", http_port, timeout=2)) as connection:
        try:
            connection.request("GET", "/v2/health/live")
            return connection.getresponse().status == 200
        except OSError:
            return False


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""Starts the real server command on free ports, watches it, and stops it again."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

COMMAND_VARIABLE = "TRITONPY_E2E_SERVER"
"""Environment variable with another server command to test; the default stands beside the running Python."""

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0

started: list[Server] = []
"""Every server of this test run, oldest first; the log of those that matter is shown when a test fails."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: the status, the headers with lower-case names, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The message of an error answer."""
        message = self.json()["error"]
        assert isinstance(message, str)
        return message


@dataclass(frozen=True, slots=True)
class Series:
    """One line of Prometheus text."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Server:
    """A started server: its process, its ports and its log. `log` holds standard output and standard error."""

    process: subprocess.Popen[bytes]
    log: Path
    http_port: int
    grpc_port: int
    metrics_port: int

    @property
    def http_url(self) -> str:
        return f"{HOST}:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        return f"{HOST}:{self.grpc_port}"

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def log_tail(self) -> str:
        return "\n".join(self.log_text().splitlines()[-60:])

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout_s: float = 30
    ) -> Answer:
        """One HTTP request on a connection of its own."""
        return http_request(self.http_port, method, path, body, headers or {}, timeout_s)

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def infer(self, model: str, document: Any) -> Answer:
        """A JSON inference request."""
        return self.request("POST", f"/v2/models/{model}/infer", json.dumps(document).encode())

    def index(self) -> list[dict[str, str]]:
        """The repository index: name, version, state and reason of every model version."""
        entries = self.request("POST", "/v2/repository/index").json()
        assert isinstance(entries, list)
        return entries

    def statistics(self, model: str) -> dict[str, Any]:
        """The statistics of the newest version of `model`."""
        entry = self.get(f"/v2/models/{model}/stats").json()["model_stats"][-1]
        assert isinstance(entry, dict)
        return entry

    def metrics_text(self) -> str:
        return http_request(self.metrics_port, "GET", "/metrics", b"", {}, 30).body.decode()

    def series(self) -> list[Series]:
        """Every series on the metrics port."""
        return parse_metrics(self.metrics_text())

    def metric(self, name: str, **labels: str) -> float:
        """The value of the one series with this name and these labels among its labels."""
        found = [each for each in self.series() if each.name == name and labels.items() <= each.labels.items()]
        assert len(found) == 1, f"expected one series {name} with {labels}, found {len(found)}"
        return found[0].value

    def pending_count(self, model: str) -> int:
        """How many accepted requests of `model` wait for their execution."""
        return int(self.metric("nv_inference_pending_request_count", model=model))

    def worker_processes(self) -> list[psutil.Process]:
        """All processes below the server's own, oldest first."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return sorted(children, key=lambda child: child.pid)

    def terminate(self) -> int:
        """Send SIGTERM and wait; returns the exit status. Kills the server and fails if it does not end."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the exit status. Kills the server and fails if it does not end in time."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server had not ended after {timeout_s} s:\n{self.log_tail()}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def running_server(
    repositories: Path | Sequence[Path],
    folder: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start the server, yield it once it is live, and stop it; it must end well."""
    server = start_server(repositories, folder, *options, environment=environment)
    try:
        wait_until_live(server)
        yield server
    except BaseException:
        server.kill()
        raise
    if server.process.poll() is None:
        status = server.terminate()
        assert status == 0, f"the server ended with status {status}:\n{server.log_tail()}"


def start_server(
    repositories: Path | Sequence[Path],
    folder: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
) -> Server:
    """Start the server with its log in `folder`; returns before it is live. `options` come last and win."""
    folder.mkdir(parents=True, exist_ok=True)
    http_port, grpc_port, metrics_port = free_ports(3)
    arguments = [
        *server_command(),
        *(
            f"--model-repository={path}"
            for path in ([repositories] if isinstance(repositories, Path) else repositories)
        ),
        f"--http-port={http_port}",
        f"--grpc-port={grpc_port}",
        f"--metrics-port={metrics_port}",
        *options,
    ]
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            arguments, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
    server = Server(process, log, http_port, grpc_port, metrics_port)
    started.append(server)
    return server


def run_command(*arguments: str, timeout_s: float = START_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run the server command to its end; for command lines that end it at once."""
    return subprocess.run([*server_command(), *arguments], capture_output=True, text=True, timeout=timeout_s)


def server_command() -> list[str]:
    if command := os.environ.get(COMMAND_VARIABLE):
        return shlex.split(command)
    return [str(Path(sys.executable).with_name("tritonpy-server"))]


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are held while they are chosen, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_until_live(server: Server) -> None:
    """Raise AssertionError with the end of the log if the server ends or is not live in time."""

    def live() -> bool:
        status = server.process.poll()
        assert status is None, f"the server ended with status {status}:\n{server.log_tail()}"
        return is_live(server)

    wait_until(live, "the server is live", START_TIMEOUT_S)
    for port in (server.grpc_port, server.metrics_port):
        wait_until(lambda port=port: is_open(port), f"port {port} is open")  # type: ignore[misc]


def is_live(server: Server) -> bool:
    try:
        return server.get("/v2/health/live").status == 200
    except OSError:
        return False


def is_open(port: int) -> bool:
    """Whether somebody listens on `port`."""
    with socket.socket() as connection:
        return connection.connect_ex((HOST, port)) == 0


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Poll until `condition` holds. Raises AssertionError naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain until {what}"
        time.sleep(0.005)


def is_gone(process: psutil.Process) -> bool:
    """Whether all threads of a process have ended, and its files are closed; its status may still be unread."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE and len(process.threads()) <= 1
    except psutil.NoSuchProcess:
        return True


def http_request(
    port: int, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> Answer:
    with closing(http.client.HTTPConnection(HOST, port, timeout=timeout_s)) as connection:
        connection.request(method, path, body or None, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def parse_metrics(text: str) -> list[Series]:
    """Read Prometheus text by hand: its own client library renames counters while it reads."""
    lines = re.finditer(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE)
    return [
        Series(name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")), float(value))
        for name, labels, value in (line.groups() for line in lines)
    ]

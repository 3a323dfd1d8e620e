"""From start to end: what is loaded and what is said about it, how the server stops, and that nothing is left."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from .repository import write_config, write_python_text
from .scripted import Gate, Pending, ScriptedModel, write_scripted_model
from .server import (
    HOST,
    Answer,
    Server,
    is_gone,
    is_live,
    is_open,
    run_command,
    running_server,
    start_server,
    wait_until,
)

CODE_HEAD = "import triton_python_backend_utils as pb_utils\n\n"
BROKEN_CODE = (
    CODE_HEAD + 'class TritonPythonModel:\n    def initialize(self, args):\n        raise ValueError("no luck")\n'
)
DYING_CODE = "import os\n\nclass TritonPythonModel:\n    def initialize(self, args):\n        os._exit(7)\n"
PLAIN_CONFIG = """
backend: "python"
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one scripted model, `good`."""
    write_scripted_model(tmp_path / "models", "good")
    return tmp_path / "models"


def write_broken_models(repository: Path) -> None:
    write_python_text(repository, "raises", BROKEN_CODE, PLAIN_CONFIG)
    write_python_text(repository, "dies", DYING_CODE, PLAIN_CONFIG)
    write_python_text(repository, "no_class", "", PLAIN_CONFIG)
    write_python_text(repository, "no_python", "def execute(:\n", PLAIN_CONFIG)
    write_config(repository, "no_file", PLAIN_CONFIG)
    write_python_text(repository, "no_backend", "", PLAIN_CONFIG.replace('"python"', '"nosuch"'))
    write_python_text(repository, "bad_text", "", 'backend: "python"\nmax_batch_size: many\n')


# Start.


def test_the_table_of_models_and_the_index_say_what_is_ready_and_why_not(repository: Path, tmp_path: Path) -> None:
    write_broken_models(repository)
    with running_server(repository, tmp_path, "--exit-on-error=false") as server:
        rows = table_rows(server.log_text())
        assert rows["good"] == "READY"
        index = {entry["name"]: entry for entry in server.index()}
        assert index["good"] == {"name": "good", "version": "1", "state": "READY"}
        reasons = {
            "raises": "no luck",
            "dies": "status 7",
            "no_class": "TritonPythonModel",
            "no_python": "SyntaxError",
            "no_file": "model.py",
            "no_backend": "unable to find backend library for backend 'nosuch'",
        }
        for name, reason in reasons.items():
            assert index[name]["state"] == "UNAVAILABLE"
            assert reason in index[name]["reason"]
            assert rows[name].startswith("UNAVAILABLE: ")
        assert "bad_text" in server.log_text()
        assert re.search(r"config\.pbtxt:?.*\b3\b", server.log_text()), "the file and the line of the mistake"
        assert "no luck" in server.log_text()
        check_works(server, "good", tmp_path)
        check_not_ready(server, "raises")


def table_rows(log: str) -> dict[str, str]:
    """The first line of each row of the table: model name to state and reason."""
    return dict(re.findall(r"^\| (\S+) +\| 1 +\| (.*?) +\|$", log, re.MULTILINE))


def check_works(server: Server, model: str, folder: Path) -> None:
    with triton.InferenceServerClient(server.grpc_url) as client:
        assert ScriptedModel(server, client, model, folder).run("r").ids == ["r"]


def check_not_ready(server: Server, model: str) -> None:
    assert server.get(f"/v2/models/{model}/ready").status == 400
    answer = server.infer(model, {"inputs": [{"name": "INPUT", "datatype": "INT32", "shape": [1], "data": [1]}]})
    assert (answer.status, answer.error) == (404, f"Request for unknown model: '{model}' has no available versions")


def test_strict_readiness_decides_whether_a_broken_model_makes_the_server_unready(
    repository: Path, tmp_path: Path
) -> None:
    write_python_text(repository, "raises", BROKEN_CODE, PLAIN_CONFIG)
    with running_server(repository, tmp_path / "strict", "--exit-on-error=false") as server:
        assert (server.get("/v2/health/live").status, server.get("/v2/health/ready").status) == (200, 400)
    options = ("--exit-on-error=false", "--strict-readiness=false")
    with running_server(repository, tmp_path / "lax", *options) as server:
        assert server.get("/v2/health/ready").status == 200


def test_a_broken_model_ends_the_server_by_default(repository: Path, tmp_path: Path) -> None:
    write_python_text(repository, "raises", BROKEN_CODE, PLAIN_CONFIG)
    server = start_server(repository, tmp_path)
    assert server.wait() == 1
    assert table_rows(server.log_text())["raises"].startswith("UNAVAILABLE: ")
    assert "failed to load all models" in server.log_text()


def test_several_repositories_are_one(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_scripted_model(other, "second")
    with running_server([repository, other], tmp_path) as server:
        assert [(entry["name"], entry["state"]) for entry in server.index()] == [("good", "READY"), ("second", "READY")]
        check_works(server, "second", tmp_path)


def test_a_model_in_two_repositories_is_in_none(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_scripted_model(other, "good")
    write_scripted_model(other, "second")
    with running_server([repository, other], tmp_path, "--exit-on-error=false") as server:
        index = {entry["name"]: entry for entry in server.index()}
        assert index["good"]["state"] == "UNAVAILABLE"
        assert index["good"]["reason"] == "model appears in two or more repositories"
        assert index["second"]["state"] == "READY"


def test_explicit_mode_loads_what_is_named(repository: Path, tmp_path: Path) -> None:
    write_scripted_model(repository, "other")
    options = ("--model-control-mode=explicit", "--load-model=good")
    with running_server(repository, tmp_path, *options) as server:
        assert server.index() == [{"name": "good", "version": "1", "state": "READY"}, {"name": "other"}]


def test_an_empty_repository_is_served(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with running_server(tmp_path / "models", tmp_path) as server:
        assert server.get("/v2/health/ready").status == 200
        assert server.index() == []


# Command lines that cannot work.


@pytest.mark.parametrize("service", ["http", "grpc", "metrics"])
def test_a_port_in_use_is_named(repository: Path, tmp_path: Path, service: str) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start_server(repository, tmp_path, f"--{service}-port={port}")
        assert server.wait() == 1
    assert f"Socket '0.0.0.0:{port}' already in use" in server.log_text()
    assert "Traceback" not in server.log_text()


def test_a_repository_must_be_given() -> None:
    result = run_command()
    assert result.returncode == 1
    assert "--model-repository must be specified" in result.stderr


def test_an_unknown_option_is_named(repository: Path) -> None:
    result = run_command(f"--model-repository={repository}", "--no-such-option=1")
    assert result.returncode == 1
    assert "--no-such-option" in result.stderr


@pytest.mark.parametrize(
    ("option", "reason"),
    [("--http-port=eighty", "eighty"), ("--http-port=65536", "65536"), ("--exit-on-error=perhaps", "perhaps")],
)
def test_a_bad_value_is_named(repository: Path, option: str, reason: str) -> None:
    result = run_command(f"--model-repository={repository}", option)
    assert result.returncode == 1
    assert reason in result.stderr


def test_a_repository_that_does_not_exist_is_named(tmp_path: Path) -> None:
    server = start_server(tmp_path / "nowhere", tmp_path)
    assert server.wait() == 1
    assert "nowhere" in server.log_text()
    assert "Traceback" not in server.log_text()


def test_help_and_nothing_else() -> None:
    result = run_command("--help")
    assert result.returncode == 0
    assert "--model-repository" in result.stdout + result.stderr


# End.


@contextmanager
def in_flight(server: Server, folder: Path) -> Iterator[tuple[Gate, Pending]]:
    """A request that is being executed, until its gate is opened."""
    with triton.InferenceServerClient(server.grpc_url) as client:
        yield ScriptedModel(server, client, "good", folder).occupy("in flight")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_request_in_flight_end(repository: Path, tmp_path: Path, number: signal.Signals) -> None:
    with running_server(repository, tmp_path) as server:
        processes = server.worker_processes()
        assert processes
        with in_flight(server, tmp_path) as (gate, pending):
            server.process.send_signal(number)
            wait_until(lambda: refuses_requests(server), "new requests are refused")
            assert server.process.poll() is None
            time.sleep(0.3)  # whatever else closes now has closed
            assert not pending.done
            assert server.metric("nv_inference_exec_count", model="good") == 0, "metrics can be read until the end"
            gate.open()
            assert pending.report().ids == ["in flight"]
            assert server.wait() == 0
        wait_until(lambda: all(map(is_gone, processes)), "the workers are gone", timeout_s=1)


def refuses_requests(server: Server) -> bool:
    """Whether new clients are turned away on both ports, in an orderly way."""
    return not is_live(server) and grpc_refuses(server)


def grpc_refuses(server: Server) -> bool:
    try:
        with triton.InferenceServerClient(server.grpc_url) as client:
            return not client.is_server_live(client_timeout=5)
    except InferenceServerException as error:
        if error.status() == "StatusCode.UNAVAILABLE":
            return True
        raise


def test_an_http_request_in_flight_gets_its_answer_too(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path) as server:
        gate = Gate(tmp_path / "gate")
        document = {"inputs": [{"name": "COMMAND", "datatype": "BYTES", "shape": [1, 1], "data": [gate.command]}]}
        answers: list[Answer] = []
        client = threading.Thread(target=lambda: answers.append(server.infer("good", document)))
        client.start()
        gate.wait_until_entered()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        gate.open()
        client.join()
        assert [answer.status for answer in answers] == [200]
        assert server.wait() == 0


def test_more_signals_change_nothing(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path) as server, in_flight(server, tmp_path) as (gate, pending):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            server.process.send_signal(number)
            time.sleep(0.1)
        assert server.process.poll() is None
        gate.open()
        assert pending.report().ids == ["in flight"]
        assert server.wait() == 0


def test_the_exit_timeout_ends_what_does_not_end(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path, "--exit-timeout-secs=1") as server:
        processes = server.worker_processes()
        with in_flight(server, tmp_path) as (_, pending):
            start_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert server.wait(timeout_s=15) == 1
            assert time.monotonic() - start_s >= 1
            assert pending.error().status() in ("StatusCode.UNAVAILABLE", "StatusCode.INTERNAL", "StatusCode.CANCELLED")
        wait_until(lambda: all(map(is_gone, processes)), "the workers are gone", timeout_s=5)


def test_idle_connections_do_not_hold_up_the_end(repository: Path, tmp_path: Path) -> None:
    with (
        running_server(repository, tmp_path) as server,
        socket.create_connection((HOST, server.http_port)) as idle,
        triton.InferenceServerClient(server.grpc_url) as client,
    ):
        idle.sendall(f"GET /v2/health/live HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        assert client.is_server_live()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait(timeout_s=10) == 0


def test_a_signal_during_the_start_ends_the_server(repository: Path, tmp_path: Path) -> None:
    marker = tmp_path / "loading"
    code = (
        f"{CODE_HEAD}import pathlib, time\n\nclass TritonPythonModel:\n    def initialize(self, args):\n"
        f"        pathlib.Path({str(marker)!r}).touch()\n        time.sleep(60)\n"
    )
    write_python_text(repository, "slow", code, PLAIN_CONFIG)
    server = start_server(repository, tmp_path)
    wait_until(marker.exists, "the model is being loaded")
    processes = server.worker_processes()
    assert not is_open(server.http_port), "ports open when the models are loaded"
    server.process.send_signal(signal.SIGTERM)
    assert server.wait(timeout_s=15) == 0
    wait_until(lambda: all(map(is_gone, processes)), "the workers are gone", timeout_s=1)


def test_nothing_is_left_behind(repository: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    files = sorted(path for path in repository.rglob("*"))
    with running_server(repository, tmp_path, environment={"TMPDIR": str(scratch)}) as server:
        check_works(server, "good", tmp_path)
        processes = server.worker_processes()
        ports = (server.http_port, server.grpc_port, server.metrics_port)
    wait_until(lambda: all(map(is_gone, processes)), "the workers are gone", timeout_s=1)
    assert not any(is_open(port) for port in ports)
    assert os.listdir(scratch) == []
    assert sorted(path for path in repository.rglob("*")) == files, "the repository is as it was"


def test_workers_do_not_outlive_a_killed_server(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path) as server:
        processes = server.worker_processes()
        assert processes
        with in_flight(server, tmp_path):
            server.kill()
            wait_until(lambda: all(map(is_gone, processes)), "the workers are gone", timeout_s=5)


def test_a_second_server_can_start_on_the_ports_of_the_first(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path / "first") as first:
        check_works(first, "good", tmp_path)
    ports = (
        f"--http-port={first.http_port}",
        f"--grpc-port={first.grpc_port}",
        f"--metrics-port={first.metrics_port}",
    )
    second = start_server(repository, tmp_path / "second", *ports)
    wait_until(lambda: second.process.poll() is not None or is_open(first.metrics_port), "the second server is up")
    assert second.process.poll() is None, second.log_tail()
    wait_until(lambda: is_open(first.grpc_port) and is_open(first.http_port), "all its ports are open")
    assert second.terminate() == 0

"""Models that raise, leave or are killed: their requests fail with the reason, and nobody else notices."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from .repository import ADD_SUB_CONFIG, write_onnx_double, write_python_model, write_python_text
from .scripted import Models, Pending, ScriptedModel, write_scripted_model
from .server import Server, is_gone, running_server, wait_until

FRAGILE_CODE = """
import os
from pathlib import Path
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        if (Path(args["model_repository"]) / "curse").exists():
            raise RuntimeError("cursed")

    def execute(self, requests):
        pid = np.array([os.getpid()])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("PID", pid)]) for _ in requests]
"""

FRAGILE_CONFIG = """
backend: "python"
input [ { name: "INPUT" data_type: TYPE_INT64 dims: [ 1 ] } ]
output [ { name: "PID" data_type: TYPE_INT64 dims: [ 1 ] } ]
"""

ONNX_PROCESS_CONFIG = """
backend: "onnxruntime"
max_batch_size: 1
dynamic_batching { }
instance_group [ { count: 1 kind: KIND_CPU } ]
parameters { key: "EXECUTION" value { string_value: "process" } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model_faults")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    repository = folder / "models"
    write_scripted_model(repository, "faulty", "dynamic_batching { }")
    write_scripted_model(repository, "pair", instance_count=2)
    write_python_text(repository, "fragile", FRAGILE_CODE, FRAGILE_CONFIG)
    write_onnx_double(repository, "onnx_process", ONNX_PROCESS_CONFIG)
    write_python_model(repository, "bystander", "add_sub", ADD_SUB_CONFIG)
    write_onnx_double(repository, "onnx_bystander")
    with running_server(repository, folder) as server:
        yield server


@pytest.fixture
def faulty(model: Models) -> ScriptedModel:
    return model("faulty")


class Traffic:
    """Light traffic on the models that have done nothing wrong."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(ask,)) for ask in (ask_add_sub, ask_onnx_bystander)]
        self.answered_count = 0
        self.failures: list[str] = []

    def _run(self, ask: Callable[[Server], str]) -> None:
        while not self._ended.wait(0.01):
            try:
                failure = ask(self._server)
            except OSError as error:
                failure = repr(error)
            if failure:
                self.failures.append(failure)
            self.answered_count += 1

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait_for_more(self) -> None:
        """Wait until more requests have been answered."""
        before = self.answered_count
        wait_until(lambda: self.answered_count > before + 1, "the other models answer")

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def ask_add_sub(server: Server) -> str:
    """One request to the Python bystander; returns what was wrong with the answer, or ""."""
    inputs = [{"name": f"INPUT{i}", "datatype": "INT32", "shape": [16], "data": [i + 1] * 16} for i in range(2)]
    return wrong_answer(server, "bystander", inputs, [3] * 16)


def ask_onnx_bystander(server: Server) -> str:
    inputs = [{"name": "INPUT", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}]
    return wrong_answer(server, "onnx_bystander", inputs, [2.0, 4.0, 6.0, 8.0])


def wrong_answer(server: Server, model: str, inputs: list[dict[str, Any]], expected: list[float]) -> str:
    answer = server.infer(model, {"inputs": inputs})
    right = answer.status == 200 and answer.json()["outputs"][0]["data"] == expected
    return "" if right else f"{model}: {answer.status} {answer.body!r}"


@pytest.fixture(autouse=True)
def bystanders(server: Server) -> Iterator[None]:
    """Traffic on other models during every test, of which not one request may fail."""
    traffic = Traffic(server)
    traffic.start()
    traffic.wait_for_more()
    yield
    traffic.wait_for_more()
    traffic.end()
    assert traffic.failures == []


# What the model does itself.


def test_a_model_that_raises_keeps_its_process(faulty: ScriptedModel) -> None:
    before = faulty.run()
    message = faulty.send("r", "raise:out of cheese").error_text()
    assert message.startswith("Failed to process the request(s) for model 'faulty_0_0', message: ValueError: out of ch")
    after = faulty.run("after")
    assert after.ids == ["after"]
    assert after.pid == before.pid


@pytest.mark.parametrize("command", ["sys_exit", "os_exit"])
def test_a_model_that_leaves_fails_its_requests_and_works_again(faulty: ScriptedModel, command: str) -> None:
    leaver = faulty.send("leaver", command)
    error = leaver.error()
    assert error.status() == "StatusCode.INTERNAL"
    assert "faulty_0_0" in error.message()
    assert "3" in error.message(), "the exit status is the reason"
    assert faulty.run("after").ids == ["after"]


def test_only_the_batch_of_the_model_that_left_fails(faulty: ScriptedModel) -> None:
    gate, first = faulty.occupy("first")
    members = [faulty.queue("member1"), faulty.queue("leaver", "os_exit"), faulty.queue("member2")]
    gate.open()
    assert first.report().ids == ["first"]
    assert len({member.error_text() for member in members}) == 1
    assert faulty.run("after").ids == ["after"]


# What is done to it.


def test_a_model_killed_while_idle_works_at_the_next_request(faulty: ScriptedModel) -> None:
    """Several times: whether the server hears of the death or of the next request first is a matter of luck."""
    pid = faulty.run().pid
    for number in range(8):
        kill(pid)
        after = faulty.run(f"after{number}")
        assert after.ids == [f"after{number}"]
        assert after.pid != pid
        pid = after.pid


def test_a_model_killed_while_busy_fails_what_it_held_and_serves_what_waits(faulty: ScriptedModel) -> None:
    gate, held = faulty.occupy("held")
    waiting = faulty.queue_all("waiting1 waiting2")
    kill(gate.pid)
    check_killed(held, "faulty_0_0")
    reports = [pending.report() for pending in waiting]
    assert [report.ids for report in reports] == [["waiting1", "waiting2"]] * 2
    assert reports[0].pid != gate.pid


def test_the_other_instance_of_a_killed_model_goes_on(model: Models) -> None:
    pair = model("pair")
    doomed_gate, doomed = pair.occupy("doomed")
    healthy_gate, healthy = pair.occupy("healthy")
    kill(doomed_gate.pid)
    doomed.error()
    assert not healthy.done
    healthy_gate.open()
    assert healthy.report().pid == healthy_gate.pid
    with pair.busy(instance_count=2):
        pass  # both instances are there again


def test_what_a_killed_worker_had_not_begun_goes_to_its_replacement(
    server: Server, grpc_client: triton.InferenceServerClient
) -> None:
    """The worker is stopped, so that of two requests it holds one without beginning it, and the other waits."""
    worker = onnx_worker(server)
    worker.suspend()
    requests = [send_onnx(grpc_client, "first"), send_onnx(grpc_client, "second")]
    wait_until(lambda: server.pending_count("onnx_process") == 1, "one request is held and one waits")
    kill(worker.pid)
    for request in requests:
        check_onnx(request)
    assert onnx_worker(server).pid != worker.pid


def test_a_framework_worker_killed_while_idle_is_replaced(
    server: Server, grpc_client: triton.InferenceServerClient
) -> None:
    check_onnx(send_onnx(grpc_client, "before"))
    kill(onnx_worker(server).pid)
    check_onnx(send_onnx(grpc_client, "after"))


def test_a_model_that_cannot_be_started_again_refuses_until_it_can(
    server: Server, grpc_client: triton.InferenceServerClient, folder: Path
) -> None:
    """While no instance can be had, requests are refused instead of waiting for ever; the server keeps trying."""
    curse = folder / "models" / "fragile" / "curse"
    pid = fragile_pid(grpc_client)
    curse.touch()
    kill(pid)
    wait_until(lambda: refused(grpc_client), "the model is refused")
    curse.unlink()
    wait_until(lambda: not refused(grpc_client), "the model works again")
    assert fragile_pid(grpc_client) != pid


def refused(grpc_client: triton.InferenceServerClient) -> bool:
    """Whether the fragile model cannot be had now; raises InferenceServerException for any other error."""
    try:
        fragile_pid(grpc_client)
    except InferenceServerException as error:
        if error.status() == "StatusCode.UNAVAILABLE":
            return True
        raise
    return False


def fragile_pid(grpc_client: triton.InferenceServerClient) -> int:
    tensor = triton.InferInput("INPUT", [1], "INT64").set_data_from_numpy(np.zeros(1, np.int64))
    return int(grpc_client.infer("fragile", [tensor], client_timeout=20).as_numpy("PID")[0])


def send_onnx(grpc_client: triton.InferenceServerClient, request_id: str) -> Pending:
    tensor = triton.InferInput("INPUT", [1, 4], "FP32")
    tensor.set_data_from_numpy(np.array([[1, 2, 3, 4]], np.float32))
    pending = Pending(request_id, 0)
    grpc_client.async_infer("onnx_process", [tensor], pending.on_answer)
    return pending


def check_onnx(pending: Pending) -> None:
    np.testing.assert_array_equal(pending.answer.result(30).as_numpy("OUTPUT"), [[2, 4, 6, 8]])


def check_killed(pending: Pending, instance: str) -> None:
    """The request failed because the worker process of `instance` was killed, and says so."""
    assert pending.error().status() == "StatusCode.INTERNAL"
    message = pending.error_text()
    assert message.startswith(f"Stub process '{instance}' is not healthy."), message
    assert "SIGKILL" in message


def onnx_worker(server: Server) -> psutil.Process:
    """The one worker process that has loaded ONNX Runtime."""
    (worker,) = (each for each in server.worker_processes() if uses(each, "onnxruntime"))
    return worker


def uses(process: psutil.Process, library: str) -> bool:
    return any(library in mapped.path for mapped in process.memory_maps())


def kill(pid: int) -> None:
    """SIGKILL; returns as soon as the process is gone, so that nobody can still get an answer from it."""
    process = psutil.Process(pid)
    process.send_signal(signal.SIGKILL)
    while not is_gone(process):
        pass  # no pause: the next request is to race with the server's hearing of the death

"""Instances of a model run in parallel, a batch of one client in one execution, and no more at once than there are."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.grpc as triton

from .repository import write_onnx_double, write_python_model
from .scripted import Models, write_scripted_model
from .server import Server, running_server

SLEEPER_CONFIG = """
backend: "python"
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
instance_group [ { count: 2 kind: KIND_CPU } ]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("parallel_instances")
    repository = folder / "models"
    write_python_model(repository, "sleeper", "sleeper", SLEEPER_CONFIG)
    write_scripted_model(repository, "two_instances", instance_count=2)
    write_onnx_double(
        repository,
        "onnx",
        """
backend: "onnxruntime"
max_batch_size: 8
instance_group [ { count: 2 kind: KIND_CPU } ]
""",
    )
    with running_server(repository, folder) as server:
        yield server


def test_two_requests_take_as_long_as_one(server: Server) -> None:
    """The model sleeps 100 ms: one instance would need 200 ms. The best of three says what the server can do."""
    durations_s = [duration_of_two_requests_s(server) for _ in range(3)]
    assert 0.1 <= min(durations_s) < 0.16, durations_s


def duration_of_two_requests_s(server: Server) -> float:
    document = {"inputs": [{"name": "INPUT", "datatype": "INT32", "shape": [1], "data": [5]}]}
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(server.infer("sleeper", document).status)) for _ in range(2)
    ]
    start_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    return time.monotonic() - start_s


def test_both_instances_are_busy_at_the_same_time_and_the_third_request_waits(model: Models) -> None:
    scripted = model("two_instances")
    with scripted.busy(instance_count=2) as running:
        third = scripted.queue("third")
        assert not any(pending.done for pending in running)
    reports = [pending.report() for pending in running]
    assert {report.instance for report in reports} == {"two_instances_0_0", "two_instances_0_1"}
    assert len({report.pid for report in reports}) == 2
    assert third.report().ids == ["third"]


def test_instances_of_a_framework_model_answer_at_the_same_time(server: Server) -> None:
    """Many requests on two ONNX Runtime instances: every answer belongs to its own request."""
    with triton.InferenceServerClient(server.grpc_url) as client:
        wrong: list[int] = []

        def ask(number: int) -> None:
            array = np.full((2, 4), number, np.float32)
            tensor = triton.InferInput("INPUT", [2, 4], "FP32").set_data_from_numpy(array)
            answer = client.infer("onnx", [tensor]).as_numpy("OUTPUT")
            if not np.array_equal(answer, 2 * array):
                wrong.append(number)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert server.statistics("onnx")["inference_stats"]["success"]["count"] == 32


def test_each_instance_is_named_after_model_group_and_number(server: Server) -> None:
    config = json.loads(server.get("/v2/models/two_instances/config").body)
    assert [(group["name"], group["count"]) for group in config["instance_group"]] == [("two_instances_0", 2)]

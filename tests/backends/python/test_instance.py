"""What `execute` may return, and what clients are told when it breaks the rules (Triton's texts)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.executor_support import error_text, output, request_of
from tests.backends.python.models import instance_spec, write_model
from tritonpy.backends.contract import BatchResult
from tritonpy.backends.errors import Kind
from tritonpy.backends.python.backend import PythonBackend
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.run_batch import run_batch
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes

FAILED = "Failed to process the request(s) for model 'm_0', message: "


class Run:
    """Runs a batch on an instance made from the body of `execute`."""

    def __init__(self, repository: Path, execute: str, decoupled: bool = False) -> None:
        lines = "\n".join("        " + line for line in execute.strip().splitlines())
        body = f"\nclass TritonPythonModel:\n    def execute(self, requests):\n{lines}\n"
        spec = write_model(repository, body, model_transaction_policy={"decoupled": decoupled})
        self.instance = PythonBackend().load(spec).create_instance(instance_spec())
        self.sent: list[tuple[int, InferenceResponse]] = []

    def __call__(self, *requests: InferenceRequest) -> BatchResult:
        return run_batch("m_0", self.instance, requests, lambda index, response: self.sent.append((index, response)))


@pytest.mark.parametrize(
    ("execute", "message"),
    [
        ("return ()", "Expected a list in the execute return, found type '<class 'tuple'>'."),
        ("return None", "Expected a list in the execute return, found type '<class 'NoneType'>'."),
        (
            "return []",
            "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
            "InferenceRequest(s) size is:1, and InferenceResponse(s) size is:0\n",
        ),
        (
            "return [5]",
            "Expected an 'InferenceResponse' object in the execute function return list, found type '<class 'int'>'.",
        ),
        ("raise SystemExit(3)", "SystemExit: 3\n\nAt:\n  m/1/model.py(7): execute\n"),
    ],
)
def test_misuse_fails_the_whole_batch(tmp_path: Path, execute: str, message: str) -> None:
    result = Run(tmp_path, execute)(request_of([1]))
    assert error_text(result.responses[0]) == FAILED + message


def test_a_model_without_execute_says_so(tmp_path: Path) -> None:
    spec = write_model(tmp_path, "class TritonPythonModel:\n    pass\n")
    instance = PythonBackend().load(spec).create_instance(instance_spec())
    result = run_batch("m_0", instance, [request_of([1])], lambda *_: None)
    assert error_text(result.responses[0]) == FAILED + "Python model m/1/model.py does not implement `execute` method."


def test_an_error_response_fails_only_its_request_with_its_code(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        """
error = pb_utils.TritonError("no such label", pb_utils.TritonError.NOT_FOUND)
good = pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.ones(1, np.float32))])
return [pb_utils.InferenceResponse(error=error), good]
""",
    )
    first, second = run(request_of([1]), request_of([2])).responses
    assert error_text(first) == "no such label"
    assert first is not None
    assert first.error is not None
    assert first.error.kind is Kind.NOT_FOUND
    assert output(second) == [1]


def test_outputs_that_nobody_asked_for_are_dropped(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        """
tensors = [pb_utils.Tensor(name, np.ones(1, np.float32)) for name in ("Y", "Z")]
return [pb_utils.InferenceResponse(tensors) for _ in requests]
""",
    )
    all_outputs, one = run(request_of([1]), request_of([1], requested_outputs=("Z",))).responses
    assert all_outputs is not None
    assert one is not None
    # Z is not in the configuration, so it is not among "all outputs".
    assert [tensor.name for tensor in all_outputs.outputs] == ["Y"]
    assert [tensor.name for tensor in one.outputs] == ["Z"]


def test_the_sender_may_answer_in_place_of_the_return_value(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        """
sender = requests[0].get_response_sender()
sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.ones(1, np.float32))]))
sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
return None
""",
    )
    assert run(request_of([1])).responses == [None]
    ((index, response),) = run.sent
    assert index == 0
    assert response.final
    assert output(response) == [1]


def test_none_without_a_sender_is_an_error_not_a_hang(tmp_path: Path) -> None:
    result = Run(tmp_path, "return [None for _ in requests]")(request_of([1]))
    assert "execute returned None for a request" in error_text(result.responses[0])


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ("sender.send(response, flags=7)", "Unable to send response. Unsupported flag provided."),
        ("sender.send()", "Inference Response object must be provided when the response flags is set to zero."),
        (
            "sender.send(response); sender.send(response)",
            "Unable to send response. Non-decoupled model cannot send more than one response.",
        ),
        (
            "sender.send(flags=1)",
            "Unable to send response. Non-decoupled model cannot send complete final before sending a response.",
        ),
        (
            "sender.send(response, flags=1); sender.send(flags=1)",
            "Unable to send response. Response sender has been closed.",
        ),
    ],
)
def test_sender_misuse_raises_in_the_model(tmp_path: Path, calls: str, message: str) -> None:
    run = Run(
        tmp_path,
        f"""
sender = requests[0].get_response_sender()
response = pb_utils.InferenceResponse([])
try:
    {calls}
except pb_utils.TritonModelException as error:
    text = np.array([str(error)], dtype=object)
    return [pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))]
""",
    )
    result = run(request_of([1]))
    told = [error_text(response) for response in result.responses if response is not None]
    if not told:  # the model had answered already: its return value is ignored
        assert len(run.sent) == 1
    else:
        assert told == [message]


def test_a_decoupled_model_must_return_none(tmp_path: Path) -> None:
    result = Run(tmp_path, "return []", decoupled=True)(request_of([1]))
    expected = "Python model 'm_0' is using the decoupled mode and the execute function must return None."
    assert error_text(result.responses[0]) == FAILED + expected


def test_coroutines_run_concurrently_inside_a_batch(tmp_path: Path) -> None:
    body = """
        import asyncio

        class TritonPythonModel:
            async def execute(self, requests):
                barrier = asyncio.Event()
                async def answer(number):
                    if number:
                        barrier.set()
                    await asyncio.wait_for(barrier.wait(), 10)
                    return pb_utils.InferenceResponse([])
                return list(await asyncio.gather(*[answer(number) for number in range(len(requests))]))
    """
    instance = PythonBackend().load(write_model(tmp_path, body)).create_instance(instance_spec())
    result = run_batch("m_0", instance, [request_of([1]), request_of([2])], lambda *_: None)
    assert all(response is not None and response.error is None for response in result.responses)
    instance.close()


def test_what_a_request_tells_the_model(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        """
import json
request = requests[0]
told = [request.request_id(), request.correlation_id(), request.flags(), request.timeout(),
        json.loads(request.parameters()), sorted(request.requested_output_names()),
        [[t.name(), t.shape(), t.triton_dtype(), t.is_cpu()] for t in request.inputs()]]
text = pb_utils.Tensor("Y", np.array([json.dumps(told)], dtype=object))
return [pb_utils.InferenceResponse([text])]
""",
    )
    request = request_of([1, 2], id="r", correlation_id="s", flags=1, timeout_us=5, parameters={"p": 1.5})
    (response,) = run(request).responses
    assert response is not None
    told: Any = __import__("json").loads(response.outputs[0].array[0])
    assert told == ["r", "s", 1, 5, {"p": 1.5}, ["Y"], [["X", [2], 11, True]]]


def test_inputs_are_writable_views(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        """
x = requests[0].inputs()[0].as_numpy()
x += 1
return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", x)])]
""",
    )
    request = request_of(np.zeros(2))
    assert output(run(request).responses[0]) == [1, 1]


def test_a_request_with_unreadable_strings_fails_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, 'return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.ones(1))]) for _ in requests]')
    good = InferenceRequest("m", {"X": Tensor("X", datatypes.BYTES, (1,), b"\x01\0\0\0a")})
    bad = InferenceRequest("m", {"X": Tensor("X", datatypes.BYTES, (2,), b"\x01\0\0\0a")})
    first, second, third = run(good, bad, good).responses
    assert output(first) == output(third) == [1]
    assert error_text(second) == "expected 2 strings for inference input 'X', got 1"

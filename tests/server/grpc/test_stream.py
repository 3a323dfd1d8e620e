"""Streams as objects: the order of responses, errors in-band, and how streams end."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.server.fake_engine import FakeEngine, FakeModel, signature
from tests.server.grpc.infer_errors import INFER_ERRORS
from tests.server.grpc.requests import infer_input, infer_request, output
from tritonpy.backends.errors import CancelledError, InternalError, NotFoundError, TritonpyError, UnavailableError
from tritonpy.backends.request import InferenceResponse
from tritonpy.backends.tensor import Tensor
from tritonpy.protos import datatypes
from tritonpy.protos.generated import grpc_service_pb2 as messages
from tritonpy.server.grpc.status import SERVER_FAULT
from tritonpy.server.grpc.stream import InferStream, StreamMessage

DEADLINE_NS = 123


def number(value: int) -> Tensor:
    return Tensor.from_array("OUTPUT0", np.array([[value]], np.float32))


@dataclass
class Client:
    """What a client sees of a stream on models that answer only when a test tells them to."""

    strict_errors: bool = False
    slow: FakeModel = field(default_factory=lambda: model("slow"))
    identity: FakeModel = field(default_factory=lambda: model("identity"))
    repeat: FakeModel = field(default_factory=lambda: model("repeat", decoupled=True))
    received: list[StreamMessage | TritonpyError | None] = field(default_factory=list)
    ended: list[InferStream] = field(default_factory=list)

    def __post_init__(self) -> None:
        engine = FakeEngine([self.slow, self.identity, self.repeat])
        self.stream = InferStream(
            engine.model, self.received.append, self.ended.append, DEADLINE_NS, self.strict_errors
        )

    def ask(self, model_name: str, id: str, **parameters: bool) -> None:
        self.stream.receive(infer_request(model_name, id=id, parameters=parameters))

    def seen(self) -> list[str]:
        """What came since the last call, in short: `id`, `id!` if more is to come, `id: error`; the end as `ok` or as
        its status."""
        texts = [describe(item) for item in self.received]
        self.received.clear()
        return texts


def model(name: str, decoupled: bool = False) -> FakeModel:
    made = FakeModel(name, signature(8, {"INPUT0": (datatypes.FP32, (-1,))}), decoupled=decoupled)
    made.hold_replies()
    return made


def answer(asked: FakeModel, index: int, value: int = 0, **response: object) -> None:
    """Let a model answer its request number `index`."""
    reply = InferenceResponse(**({"outputs": [number(value)]} | response))  # type: ignore[arg-type]
    asked.requests[index].reply(reply)


def describe(item: StreamMessage | TritonpyError | None) -> str:
    if item is None:
        return "ok"
    if isinstance(item, TritonpyError):
        return f"{item.kind.name}: {item.message}"
    response = item.infer_response
    more = "!" if is_final(response) is False else ""
    return f"{response.id}{more}" + (f": {item.error_message}" if item.error_message else "")


def is_final(response: messages.ModelInferResponse) -> bool | None:
    if "triton_final_response" not in response.parameters:
        return None
    return response.parameters["triton_final_response"].bool_param


# The order of responses.


def test_responses_leave_in_the_order_of_requests_across_models() -> None:
    client = Client()
    client.ask("slow", "first")
    client.ask("identity", "second")
    client.ask("slow", "third")
    answer(client.identity, 0)
    answer(client.slow, 1)
    assert client.seen() == []
    answer(client.slow, 0)
    assert client.seen() == ["first", "second", "third"]


def test_responses_of_decoupled_models_leave_at_once() -> None:
    client = Client()
    client.ask("slow", "first")
    client.ask("repeat", "a")
    client.ask("repeat", "b")
    answer(client.repeat, 0, final=False)
    answer(client.repeat, 1, final=False)
    answer(client.repeat, 0)
    assert client.seen() == ["a!", "b!", "a"]
    answer(client.slow, 0)
    assert client.seen() == ["first"]


def test_a_refusal_waits_for_the_responses_before_it() -> None:
    client = Client()
    client.ask("slow", "first")
    client.ask("nosuch", "unknown")
    client.stream.receive(infer_request(id="bad", raw=[b"1234"]))
    client.ask("identity", "good")
    answer(client.identity, 0)
    assert client.seen() == []
    answer(client.slow, 0)
    assert client.seen() == [
        "first",
        "unknown: Request for unknown model: 'nosuch' is not found",
        "bad: [request id: bad] input byte size mismatch for input 'INPUT0' for model 'identity'. Expected 8, got 4",
        "good",
    ]


def test_a_refusal_of_a_decoupled_model_leaves_at_once() -> None:
    client = Client()
    client.ask("slow", "first")
    client.repeat.refusal = UnavailableError("Exceeds maximum queue size")
    client.ask("repeat", "refused")
    assert client.seen() == ["refused: Exceeds maximum queue size"]
    answer(client.slow, 0)
    assert client.seen() == ["first"]


def test_models_that_answer_while_they_are_asked() -> None:
    client = Client()
    client.identity.held = None
    client.ask("identity", "first")
    assert client.seen() == ["first"]


# What messages hold.


def test_a_response_says_that_it_is_the_last() -> None:
    client = Client()
    client.ask("slow", "r1")
    answer(client.slow, 0, 7)
    (message,) = client.received
    assert isinstance(message, StreamMessage)
    response = message.infer_response
    assert (response.model_name, response.model_version, response.id) == ("slow", "1", "r1")
    assert is_final(response) is True
    assert np.frombuffer(response.raw_output_contents[0], np.float32) == [7]


def test_the_deadline_of_the_call_is_that_of_its_requests() -> None:
    client = Client()
    client.ask("slow", "r1")
    assert client.slow.requests[0].deadline_ns == DEADLINE_NS


@pytest.mark.parametrize("case", INFER_ERRORS)
def test_a_refusal_names_only_the_request(case: str) -> None:
    client = Client()
    message, _, text = INFER_ERRORS[case]
    client.stream.receive(message)
    (refusal,) = client.received
    assert isinstance(refusal, StreamMessage)
    assert refusal == StreamMessage(error_message=text, infer_response=messages.ModelInferResponse(id=message.id))


def test_an_error_of_an_execution_names_the_model_and_what_follows() -> None:
    client = Client()
    client.stream.receive(infer_request("repeat", id="r1", version="1"))
    client.ask("slow", "r2")
    answer(client.repeat, 0, outputs=[], error=InternalError("neg value -5"), final=False)
    answer(client.slow, 0, outputs=[], error=InternalError("boom"))
    first, second = client.received
    expected = messages.ModelInferResponse(model_name="repeat", model_version="1", id="r1")
    expected.parameters["triton_final_response"].bool_param = False
    assert first == StreamMessage(error_message="neg value -5", infer_response=expected)
    expected = messages.ModelInferResponse(model_name="slow", id="r2")
    expected.parameters["triton_final_response"].bool_param = True
    assert second == StreamMessage(error_message="boom", infer_response=expected)


def test_an_error_without_text_still_looks_like_one() -> None:
    client = Client()
    client.ask("slow", "r1")
    answer(client.slow, 0, outputs=[], error=CancelledError(""))
    assert client.seen() == ["r1: Cancelled"]


def test_an_error_text_without_utf8_form_arrives() -> None:
    client = Client()
    client.ask("slow", "r1")
    answer(client.slow, 0, outputs=[], error=InternalError("a\udc80b"))
    assert client.seen() == ["r1: a?b"]


def test_an_output_that_cannot_be_ranked_is_an_error_of_its_request() -> None:
    client = Client()
    message = infer_request("slow", id="r1", outputs=[output(classification=1)])
    client.stream.receive(message)
    answer(client.slow, 0, outputs=[Tensor.from_array("OUTPUT0", np.array([[True]]))])
    assert client.seen() == ["r1: class result not available for output due to unsupported type 'BOOL'"]


def test_faults_of_the_server_are_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    client.ask("slow", "r1")
    client.ask("repeat", "r2")
    answer(client.slow, 0, parameters={"\udc80": 1})
    answer(client.repeat, 0, parameters={"p": "\udc80"})
    assert client.seen() == [f"r1: {SERVER_FAULT}", f"r2: {SERVER_FAULT}"]
    assert "a response of model 'slow' could not be answered" in caplog.text


# The empty last response of decoupled models.


def test_an_end_without_response_is_not_sent_unless_asked_for() -> None:
    client = Client()
    client.ask("repeat", "quiet")
    client.ask("repeat", "told", triton_enable_empty_final_response=True)
    client.ask("repeat", "not told", triton_enable_empty_final_response=False)
    for index in range(3):
        answer(client.repeat, index, outputs=[])
    (message,) = client.received
    assert isinstance(message, StreamMessage)
    expected = messages.ModelInferResponse(model_name="repeat", id="told")
    expected.parameters["triton_final_response"].bool_param = True
    assert message == StreamMessage(infer_response=expected)


def test_a_last_response_with_outputs_is_sent_once() -> None:
    client = Client()
    client.ask("repeat", "r1", triton_enable_empty_final_response=True)
    answer(client.repeat, 0)
    assert client.seen() == ["r1"]


def test_a_response_without_outputs_of_another_model_is_sent() -> None:
    client = Client()
    client.ask("slow", "r1")
    answer(client.slow, 0, outputs=[])
    assert client.seen() == ["r1"]


# How streams end.


def test_a_stream_ends_when_the_client_has_ended_and_all_is_answered() -> None:
    client = Client()
    client.ask("slow", "first")
    client.ask("repeat", "second")
    client.stream.half_close()
    answer(client.slow, 0)
    answer(client.repeat, 0, final=False)
    assert client.seen() == ["first", "second!"]
    assert client.ended == []
    answer(client.repeat, 0, outputs=[])
    assert client.seen() == ["ok"]
    client.stream.cancel()
    assert client.ended == [client.stream]


def test_an_empty_stream_ends_well() -> None:
    client = Client()
    client.stream.half_close()
    assert client.seen() == ["ok"]


def test_a_stream_of_refusals_ends_well() -> None:
    client = Client()
    client.ask("nosuch", "r1")
    client.stream.half_close()
    assert client.seen() == ["r1: Request for unknown model: 'nosuch' is not found", "ok"]


def test_a_cancelled_stream_cancels_its_requests_and_sends_nothing_more() -> None:
    client = Client()
    client.ask("slow", "answered")
    answer(client.slow, 0)
    client.ask("slow", "waiting")
    client.ask("repeat", "running")
    client.seen()
    client.stream.cancel()
    assert client.ended == [client.stream]
    assert [request.cancelled for request in client.slow.requests] == [False, True]
    assert client.repeat.requests[0].cancelled
    answer(client.slow, 1)
    answer(client.repeat, 0)
    client.ask("slow", "late")
    client.stream.half_close()
    assert client.seen() == []
    assert len(client.slow.requests) == 2


def test_a_model_that_answers_when_it_is_cancelled() -> None:
    client = Client()
    client.ask("slow", "r1")
    client.slow.requests[0].on_cancel = lambda: answer(client.slow, 0, outputs=[], error=CancelledError(""))
    client.stream.cancel()
    assert client.seen() == []


# Strict errors.


def test_a_strict_stream_ends_with_the_status_of_an_executions_error() -> None:
    client = Client(strict_errors=True)
    client.ask("slow", "first")
    client.ask("identity", "second")
    client.ask("repeat", "third")
    answer(client.repeat, 0, final=False)
    answer(client.identity, 0, outputs=[], error=NotFoundError("the model says so"))
    assert client.seen() == ["third!", "NOT_FOUND: the model says so"]
    assert client.ended == [client.stream]
    assert client.slow.requests[0].cancelled
    assert client.repeat.requests[0].cancelled
    answer(client.repeat, 0)
    client.stream.half_close()
    assert client.seen() == []


def test_a_strict_stream_ends_with_a_response_that_cannot_be_sent() -> None:
    client = Client(strict_errors=True)
    client.ask("slow", "r1")
    answer(client.slow, 0, parameters={"n": 2**64})
    (status,) = client.seen()
    assert status.startswith("INTERNAL: response parameter 'n'")


def test_refusals_on_a_strict_stream_are_in_band() -> None:
    client = Client(strict_errors=True)
    client.stream.receive(infer_request(id="bad", inputs=[infer_input("X")]))
    client.ask("slow", "good")
    answer(client.slow, 0)
    assert client.seen() == ["bad: unexpected inference input 'X' for model 'identity'", "good"]


# The server goes down.

STOPPING = UnavailableError("going down")


def test_an_idle_stream_ends_when_the_server_goes_down() -> None:
    client = Client()
    client.stream.close(STOPPING)
    assert client.seen() == ["UNAVAILABLE: going down"]
    assert client.ended == [client.stream]


def test_a_busy_stream_ends_after_its_last_response() -> None:
    client = Client()
    client.ask("slow", "first")
    client.ask("repeat", "second")
    client.stream.close(STOPPING)
    answer(client.slow, 0)
    assert client.seen() == ["first"]
    answer(client.repeat, 0, outputs=[])
    assert client.seen() == ["UNAVAILABLE: going down"]
    client.stream.half_close()
    assert client.seen() == []


def test_a_stream_that_the_client_has_ended_ends_well_while_the_server_goes_down() -> None:
    client = Client()
    client.ask("slow", "first")
    client.stream.close(STOPPING)
    client.stream.half_close()
    answer(client.slow, 0)
    assert client.seen() == ["first", "ok"]

"""The parts of the infer endpoint that need no connection: paths, cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.fake_engine import FakeModel, example_engine
from tritonpy.server.http.infer import InferEndpoint, Target, infer_target
from tritonpy.server.http.options import HttpOptions

BODY = b'{"inputs":[{"name":"INPUT0","shape":[1,1],"datatype":"FP32","data":[1]}]}'


@pytest.mark.parametrize(
    ("raw_path", "target"),
    [
        (b"/v2/models/m/infer", Target("m", "")),
        (b"/v2/models/m/versions/03/infer", Target("m", "03")),
        (b"/v2/models/a%20b/infer", Target("a%20b", "")),
        (b"/v2/models/\xff/infer", Target("\udcff", "")),
        (b"/v2/models/versions/infer", Target("versions", "")),
        (b"/v2/models/m/versions/x/infer", None),
        (b"/v2/models/m/versions/1/infer/", None),
        (b"/v2/models//infer", None),
        (b"/v2/models/infer", None),
        (b"/x/v2/models/m/infer", None),
    ],
)
def test_paths(raw_path: bytes, target: Target | None) -> None:
    assert infer_target(raw_path) == target


def test_a_request_that_is_cancelled_at_shutdown_is_told_so() -> None:
    engine = example_engine()
    model: FakeModel = engine.models[0]
    model.hold_replies()
    endpoint = InferEndpoint(engine.as_engine(), HttpOptions())
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY}

    async def send(message: Any) -> None:
        sent.append(message)

    async def cancel_while_waiting() -> None:
        scope = {"method": "POST", "headers": []}
        task = asyncio.ensure_future(endpoint(Target("identity", ""), scope, receive, send))
        await asyncio.sleep(0)
        assert len(model.requests) == 1
        task.cancel()
        await task
        model.release()  # the answer of the model comes too late and is dropped

    asyncio.run(cancel_while_waiting())
    assert [message.get("status") for message in sent] == [503, None]
    assert sent[1]["body"] == b'{"error":"Server exiting"}'

"""The unmodified HTTP client of Triton against the application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as client_module
import tritonclient.http.aio as aio_client_module
from tritonclient.utils import InferenceServerException

from tests.server.fake_engine import FakeEngine, example_engine
from tests.server.http.running_app import RunningApp, running
from tritonpy.repository.states import IndexEntry
from tritonpy.server.http.app import create_app
from tritonpy.server.http.options import HttpOptions


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    return example_engine()


@pytest.fixture(scope="module")
def server(engine: FakeEngine) -> Iterator[RunningApp]:
    with running(create_app(engine.as_engine(), HttpOptions())) as served:
        yield served


@pytest.fixture
def client(server: RunningApp) -> Iterator[Any]:
    with client_module.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4) as connected:
        yield connected


def fp32_input(array: np.ndarray[Any, np.dtype[np.float32]], binary: bool) -> Any:
    tensor = client_module.InferInput("INPUT0", array.shape, "FP32")
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


ARRAY = np.array([[1.5, -2, 1e-7]], np.float32)


def test_descriptions(client: Any, engine: FakeEngine) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("identity")
    assert not client.is_model_ready("nosuch")
    assert client.get_server_metadata()["name"] == "triton"
    assert client.get_model_metadata("two")["versions"] == ["1", "3"]
    assert client.get_model_config("identity")["name"] == "identity"
    assert client.get_inference_statistics("identity")["model_stats"][0]["name"] == "identity"
    engine.index = [IndexEntry("identity", "1", "READY", "")]
    assert client.get_model_repository_index() == [{"name": "identity", "version": "1", "state": "READY"}]
    client.load_model("identity", config="{}", files={"file:1/model.py": b"x"})
    client.unload_model("identity", unload_dependents=True)
    assert engine.calls[-2:] == [("load", "identity", "{}", {"1/model.py": b"x"}), ("unload", "identity", True)]


@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("binary_output", [True, False, None])
def test_inference(client: Any, binary_input: bool, binary_output: bool | None) -> None:
    outputs = None
    if binary_output is not None:
        outputs = [client_module.InferRequestedOutput("OUTPUT0", binary_data=binary_output)]
    result = client.infer("identity", [fp32_input(ARRAY, binary_input)], outputs=outputs, request_id="r1")
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)
    assert result.get_response()["id"] == "r1"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression(client: Any, algorithm: str) -> None:
    result = client.infer(
        "identity",
        [fp32_input(ARRAY, True)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)


@pytest.mark.parametrize("binary", [True, False])
def test_strings(client: Any, binary: bool) -> None:
    array = np.array(["abc", "", "é"], dtype=object)
    tensor = client_module.InferInput("INPUT0", array.shape, "BYTES")
    tensor.set_data_from_numpy(array, binary_data=binary)
    outputs = [client_module.InferRequestedOutput("OUTPUT0", binary_data=binary)]
    result = client.infer("ident_str", [tensor], outputs=outputs).as_numpy("OUTPUT0")
    texts = [item if isinstance(item, str) else item.decode() for item in result.tolist()]
    assert texts == ["abc", "", "é"]


def test_half_precision(client: Any) -> None:
    array = np.array([1.5, -2], np.float16)
    tensor = client_module.InferInput("INPUT0", array.shape, "FP16")
    tensor.set_data_from_numpy(array)
    np.testing.assert_array_equal(client.infer("half", [tensor]).as_numpy("OUTPUT0"), array)


def test_many_requests_at_once(client: Any) -> None:
    pending = [client.async_infer("identity", [fp32_input(ARRAY + index, True)]) for index in range(20)]
    for index, request in enumerate(pending):
        np.testing.assert_array_equal(request.get_result().as_numpy("OUTPUT0"), ARRAY + index)


def test_errors(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'nosuch' is not found"):
        client.infer("nosuch", [fp32_input(ARRAY, True)])
    with pytest.raises(InferenceServerException, match="data-type is 'FP32', but model 'half' expects 'FP16'"):
        client.infer("half", [fp32_input(ARRAY[0], True)])


def test_the_asynchronous_client(server: RunningApp) -> None:
    async def talk() -> None:
        async with aio_client_module.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            assert await client.is_server_live()
            results = await asyncio.gather(
                *(client.infer("identity", [fp32_input(ARRAY * index, True)]) for index in range(10))
            )
            for index, result in enumerate(results):
                np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY * index)

    asyncio.run(talk())

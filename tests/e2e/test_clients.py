"""Unmodified `tritonclient`, in all its four kinds, against the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from google.protobuf.json_format import MessageToDict
from onnx import TensorProto
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from .repository import ADD_SUB_CONFIG, write_onnx_identity, write_python_model
from .server import Server, running_server

DATATYPES: dict[str, npt.DTypeLike] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}

BIG_SHAPE = (2, 5 * 512 * 1024)
"""20 MiB of FP32."""

IDENTITY_CONFIG = """
backend: "python"
max_batch_size: 8
input [ { name: "INPUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""

STRING_CONFIG = """
backend: "python"
max_batch_size: 8
input [ { name: "INPUT" data_type: TYPE_STRING dims: [ -1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_STRING dims: [ -1 ] } ]
"""

SEEN_CONFIG = """
backend: "python"
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "SEEN" data_type: TYPE_STRING dims: [ 1 ] } ]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("clients")
    repository = folder / "models"
    write_python_model(repository, "add_sub", "add_sub", f"max_batch_size: 8\n{ADD_SUB_CONFIG}")
    write_python_model(repository, "datatypes", "copies", datatypes_config())
    write_python_model(repository, "strings", "copies", STRING_CONFIG)
    write_python_model(repository, "identity", "copies", IDENTITY_CONFIG)
    write_python_model(repository, "seen", "seen", SEEN_CONFIG)
    write_onnx_identity(repository, "onnx_identity", TensorProto.FLOAT, ["batch", "length"])
    write_onnx_identity(repository, "onnx_strings", TensorProto.STRING, ["batch", "length"])
    with running_server(repository, folder) as server:
        yield server


def datatypes_config() -> str:
    tensors = "\n".join(
        f'input {{ name: "IN_{name}" data_type: TYPE_{name} dims: [ -1 ] }}\n'
        f'output {{ name: "OUT_{name}" data_type: TYPE_{name} dims: [ -1 ] }}'
        for name in DATATYPES
    )
    return f'backend: "python"\nmax_batch_size: 8\n{tensors}'


class Client:
    """One synchronous client with the module it comes from: `tritonclient.http` or `tritonclient.grpc`."""

    def __init__(self, module: ModuleType, client: Any) -> None:
        self.module = module
        self.client = client

    @property
    def speaks_http(self) -> bool:
        return self.module is tritonclient.http

    def inputs(self, arrays: dict[str, npt.NDArray[Any]]) -> list[Any]:
        return inputs_of(self.module, arrays)

    def infer(self, model: str, arrays: dict[str, npt.NDArray[Any]], **options: Any) -> Any:
        return self.client.infer(model, self.inputs(arrays), **options)

    def answer(self, message: Any) -> Any:
        """What a call without tensors returned, as plain JSON (numbers of 64 bits as text, as Protobuf has it)."""
        if self.speaks_http:
            return message
        return MessageToDict(message, preserving_proto_field_name=True)


def inputs_of(module: ModuleType, arrays: dict[str, npt.NDArray[Any]]) -> list[Any]:
    tensors = [
        module.InferInput(name, list(each.shape), np_to_triton_dtype(each.dtype)) for name, each in arrays.items()
    ]
    for tensor, array in zip(tensors, arrays.values(), strict=True):
        tensor.set_data_from_numpy(array)
    return tensors


@pytest.fixture(scope="module", params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    if request.param == "http":
        with tritonclient.http.InferenceServerClient(server.http_url, concurrency=64) as http_client:
            yield Client(tritonclient.http, http_client)
    else:
        with tritonclient.grpc.InferenceServerClient(server.grpc_url) as grpc_client:
            yield Client(tritonclient.grpc, grpc_client)


def add_sub_inputs(number: int = 7, batch: int = 1) -> dict[str, npt.NDArray[np.int32]]:
    first = np.arange(16 * batch, dtype=np.int32).reshape(batch, 16)
    return {"INPUT0": first, "INPUT1": np.full_like(first, number)}


def check_add_sub(result: Any, inputs: dict[str, npt.NDArray[np.int32]]) -> None:
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), inputs["INPUT0"] + inputs["INPUT1"])
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), inputs["INPUT0"] - inputs["INPUT1"])


# What the server says about itself and its models.


def test_health(client: Client) -> None:
    assert client.client.is_server_live()
    assert client.client.is_server_ready()
    assert client.client.is_model_ready("add_sub")
    assert client.client.is_model_ready("add_sub", "1")


def test_an_unknown_model_is_not_ready(client: Client) -> None:
    if client.speaks_http:
        assert not client.client.is_model_ready("nosuch")
        assert not client.client.is_model_ready("add_sub", "9")
    else:
        with pytest.raises(InferenceServerException, match="Request for unknown model: 'nosuch' is not found"):
            client.client.is_model_ready("nosuch")


def test_server_metadata(client: Client) -> None:
    metadata = client.answer(client.client.get_server_metadata())
    assert metadata["name"] == "triton"
    assert metadata["version"]
    assert {"binary_tensor_data", "statistics", "model_repository"} <= set(metadata["extensions"])


def test_model_metadata(client: Client) -> None:
    metadata = client.answer(client.client.get_model_metadata("add_sub"))
    assert metadata["name"] == "add_sub"
    assert metadata["versions"] == ["1"]
    assert metadata["platform"] == "python"
    tensors = [[each["name"], each["datatype"], [int(dim) for dim in each["shape"]]] for each in metadata["inputs"]]
    assert tensors == [["INPUT0", "INT32", [-1, 16]], ["INPUT1", "INT32", [-1, 16]]]
    assert [each["name"] for each in metadata["outputs"]] == ["OUTPUT0", "OUTPUT1"]


def test_metadata_of_a_model_completed_from_its_file(client: Client) -> None:
    metadata = client.answer(client.client.get_model_metadata("onnx_strings"))
    assert metadata["platform"] == "onnxruntime_onnx"
    (tensor,) = metadata["inputs"]
    assert (tensor["name"], tensor["datatype"], [int(dim) for dim in tensor["shape"]]) == ("INPUT", "BYTES", [-1, -1])


def test_model_config(client: Client) -> None:
    config = client.answer(client.client.get_model_config("add_sub"))
    config = config if client.speaks_http else config["config"]
    assert config["name"] == "add_sub"
    assert config["backend"] == "python"
    assert config["max_batch_size"] == 8
    assert [each["data_type"] for each in config["input"]] == ["TYPE_INT32", "TYPE_INT32"]
    assert [int(dim) for dim in config["input"][0]["dims"]] == [16]
    (group,) = config["instance_group"]
    assert (group["count"], group["kind"]) == (1, "KIND_CPU")


def test_statistics_count_what_was_asked(client: Client) -> None:
    def counts() -> tuple[int, int, int]:
        (entry,) = client.answer(client.client.get_inference_statistics("add_sub", "1"))["model_stats"]
        success = entry["inference_stats"]["success"]
        return int(entry["inference_count"]), int(entry["execution_count"]), int(success["count"])

    client.infer("add_sub", add_sub_inputs())
    before = counts()
    client.infer("add_sub", add_sub_inputs(batch=3))
    assert counts() == (before[0] + 3, before[1] + 1, before[2] + 1)


def test_statistics_of_all_models(client: Client) -> None:
    statistics = client.answer(client.client.get_inference_statistics())
    names = [entry["name"] for entry in statistics["model_stats"]]
    assert names == sorted(["add_sub", "datatypes", "strings", "identity", "seen", "onnx_identity", "onnx_strings"])


def test_repository_index(client: Client) -> None:
    index = client.answer(client.client.get_model_repository_index())
    entries = index if client.speaks_http else index["models"]
    assert len(entries) == 7
    assert {"name": "add_sub", "version": "1", "state": "READY"} in entries


# Inference.


def test_numbers_in_a_batch(client: Client) -> None:
    inputs = add_sub_inputs(batch=5)
    result = client.infer("add_sub", inputs)
    check_add_sub(result, inputs)
    assert result.as_numpy("OUTPUT0").dtype == np.int32


def test_a_version_can_be_named(client: Client) -> None:
    inputs = add_sub_inputs()
    check_add_sub(client.infer("add_sub", inputs, model_version="1"), inputs)
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'add_sub' version 2 is not found"):
        client.infer("add_sub", inputs, model_version="2")


def test_every_datatype(client: Client) -> None:
    bits = np.array([[0, 1, 2, 3], [100, 101, 126, 127]], np.uint8)
    arrays = {f"IN_{name}": bits.astype(datatype) for name, datatype in DATATYPES.items()}
    outputs = [client.module.InferRequestedOutput(f"OUT_{name}") for name in DATATYPES]
    result = client.infer("datatypes", arrays, outputs=outputs)
    for name, datatype in DATATYPES.items():
        answer = result.as_numpy(f"OUT_{name}")
        assert answer.dtype == np.dtype(datatype)
        np.testing.assert_array_equal(answer, arrays[f"IN_{name}"])


@pytest.mark.parametrize("model", ["strings", "onnx_strings"])
def test_bytes(client: Client, model: str) -> None:
    texts = ["", "a", "grün und 日本語", "x" * 70_000, 'tab\tand "quotes"']
    array = np.array([[text.encode() for text in texts]] * 2, dtype=np.object_)
    answer = client.infer(model, {"INPUT": array}).as_numpy("OUTPUT")
    assert answer.shape == (2, len(texts))
    assert [[each.decode() for each in row] for row in answer] == [texts, texts]


def test_bytes_that_are_no_text(client: Client) -> None:
    array = np.array([[b"\x00\xff\xfe", b"nul\x00inside"]], dtype=np.object_)
    assert client.infer("strings", {"INPUT": array}).as_numpy("OUTPUT").tolist() == array.tolist()


def test_an_empty_tensor(client: Client) -> None:
    answer = client.infer("identity", {"INPUT": np.zeros((2, 0), np.float32)}).as_numpy("OUTPUT")
    assert answer.shape == (2, 0)


def test_only_requested_outputs_come(client: Client) -> None:
    outputs = [client.module.InferRequestedOutput("OUTPUT1")]
    result = client.infer("add_sub", add_sub_inputs(), outputs=outputs)
    assert result.as_numpy("OUTPUT1") is not None
    assert result.as_numpy("OUTPUT0") is None


def test_id_and_parameters_reach_the_model_and_the_id_comes_back(client: Client) -> None:
    parameters = {"text": "blue", "number": 3, "flag": True}
    result = client.infer(
        "seen", {"INPUT": np.zeros(1, np.int32)}, request_id="number 5", parameters=parameters, timeout=2_000_000
    )
    seen = json.loads(result.as_numpy("SEEN")[0])
    assert seen["id"] == "number 5"
    assert parameters.items() <= seen["parameters"].items()
    response = result.get_response()
    assert (response["id"] if client.speaks_http else response.id) == "number 5"


@pytest.mark.parametrize("model", ["identity", "onnx_identity"])
def test_a_big_tensor_both_ways(client: Client, model: str) -> None:
    array = np.random.default_rng(1).random(BIG_SHAPE, np.float32)
    np.testing.assert_array_equal(client.infer(model, {"INPUT": array}).as_numpy("OUTPUT"), array)


def test_many_requests_at_once(client: Client) -> None:
    """128 requests, 64 of them under way, each with an answer of its own."""
    for first in range(0, 128, 64):
        inputs = [add_sub_inputs(number) for number in range(first, first + 64)]
        for result, sent in zip(infer_all(client, inputs), inputs, strict=True):
            check_add_sub(result, sent)


def infer_all(client: Client, inputs: list[dict[str, npt.NDArray[np.int32]]]) -> list[Any]:
    if client.speaks_http:
        handles = [client.client.async_infer("add_sub", client.inputs(each)) for each in inputs]
        return [handle.get_result() for handle in handles]
    return infer_all_with_callbacks(client, inputs)


def infer_all_with_callbacks(client: Client, inputs: list[dict[str, npt.NDArray[np.int32]]]) -> list[Any]:
    answers: list[Future[Any]] = [Future() for _ in inputs]
    for answer, each in zip(answers, inputs, strict=True):
        client.client.async_infer(
            "add_sub",
            client.inputs(each),
            lambda result, error, answer=answer: answer.set_exception(error) if error else answer.set_result(result),
        )
    return [answer.result(30) for answer in answers]


# What only one of the two can do.


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression_over_http(server: Server, algorithm: str) -> None:
    array = np.tile(np.arange(100, dtype=np.float32), (1, 1000))
    with tritonclient.http.InferenceServerClient(server.http_url) as client:
        inputs = inputs_of(tritonclient.http, {"INPUT": array})
        result = client.infer(
            "identity", inputs, request_compression_algorithm=algorithm, response_compression_algorithm=algorithm
        )
    np.testing.assert_array_equal(result.as_numpy("OUTPUT"), array)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression_over_grpc(server: Server, algorithm: str) -> None:
    array = np.tile(np.arange(100, dtype=np.float32), (1, 1000))
    with tritonclient.grpc.InferenceServerClient(server.grpc_url) as client:
        inputs = inputs_of(tritonclient.grpc, {"INPUT": array})
        result = client.infer("identity", inputs, compression_algorithm=algorithm)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT"), array)


@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("binary_output", [True, False])
def test_json_and_binary_tensors_over_http(server: Server, binary_input: bool, binary_output: bool) -> None:
    array = np.array([[0.1, -2.5, 3e30, 0.0]], np.float32)
    tensor = tritonclient.http.InferInput("INPUT", [1, 4], "FP32")
    tensor.set_data_from_numpy(array, binary_data=binary_input)
    output = tritonclient.http.InferRequestedOutput("OUTPUT", binary_data=binary_output)
    with tritonclient.http.InferenceServerClient(server.http_url) as client:
        result = client.infer("identity", [tensor], outputs=[output])
    np.testing.assert_array_equal(result.as_numpy("OUTPUT"), array)


def test_class_labels_are_counted_from_the_largest_value(client: Client) -> None:
    output = client.module.InferRequestedOutput("OUTPUT", class_count=2)
    array = np.array([[0.25, 3.0, 1.5], [7.0, 8.0, 9.0]], np.float32)
    answer = client.infer("identity", {"INPUT": array}, outputs=[output]).as_numpy("OUTPUT")
    assert answer.tolist() == [[b"3.000000:1", b"1.500000:2"], [b"9.000000:2", b"8.000000:1"]]


# The asynchronous clients.


def run_http(server: Server, use: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        async with tritonclient.http.aio.InferenceServerClient(server.http_url, conn_limit=64) as client:
            await use(client)

    asyncio.run(main())


def run_grpc(server: Server, use: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        async with tritonclient.grpc.aio.InferenceServerClient(server.grpc_url) as client:
            await use(client)

    asyncio.run(main())


AIO = pytest.mark.parametrize(
    ("run", "module"), [(run_http, tritonclient.http), (run_grpc, tritonclient.grpc)], ids=["http.aio", "grpc.aio"]
)


@AIO
def test_aio_health_metadata_config_statistics_and_index(server: Server, run: Any, module: ModuleType) -> None:
    async def use(client: Any) -> None:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("add_sub")
        as_json = {} if module is tritonclient.http else {"as_json": True}
        assert (await client.get_server_metadata(**as_json))["name"] == "triton"
        assert (await client.get_model_metadata("add_sub", **as_json))["versions"] == ["1"]
        assert "add_sub" in json.dumps(await client.get_model_config("add_sub", **as_json))
        assert len((await client.get_inference_statistics(**as_json))["model_stats"]) == 7
        assert "onnx_identity" in json.dumps(await client.get_model_repository_index(**as_json))

    run(server, use)


@AIO
def test_aio_inference_at_concurrency_64(server: Server, run: Any, module: ModuleType) -> None:
    async def use(client: Any) -> None:
        inputs = [add_sub_inputs(number) for number in range(64)]
        results = await asyncio.gather(*(client.infer("add_sub", inputs_of(module, each)) for each in inputs))
        for result, sent in zip(results, inputs, strict=True):
            check_add_sub(result, sent)

    run(server, use)


@AIO
def test_aio_big_tensor_and_strings(server: Server, run: Any, module: ModuleType) -> None:
    big = np.random.default_rng(2).random(BIG_SHAPE, np.float32)
    texts = np.array([["ä", ""]], dtype=np.object_)

    async def use(client: Any) -> None:
        result = await client.infer("identity", inputs_of(module, {"INPUT": big}))
        np.testing.assert_array_equal(result.as_numpy("OUTPUT"), big)
        result = await client.infer("strings", inputs_of(module, {"INPUT": texts}))
        assert [each.decode() for each in result.as_numpy("OUTPUT")[0]] == ["ä", ""]

    run(server, use)


@AIO
def test_aio_errors_arrive_as_exceptions(server: Server, run: Any, module: ModuleType) -> None:
    async def use(client: Any) -> None:
        with pytest.raises(InferenceServerException, match="Request for unknown model: 'nosuch' is not found"):
            await client.infer("nosuch", inputs_of(module, add_sub_inputs()))

    run(server, use)

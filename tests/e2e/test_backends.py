"""One model of each framework, answering through both protocols."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from onnx import TensorProto

from .repository import ADD_SUB_CONFIG, write_config, write_onnx_double, write_onnx_identity, write_python_model
from .server import Server, running_server

HAS_TORCH = importlib.util.find_spec("torch") is not None

TORCH_CONFIG = """
backend: "pytorch"
max_batch_size: 8
input [ { name: "INPUT__0" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 4 ] } ]
dynamic_batching { }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("backends")
    repository = folder / "models"
    write_python_model(repository, "python", "add_sub", ADD_SUB_CONFIG)
    write_onnx_double(repository, "onnx")
    write_onnx_double(
        repository,
        "onnx_process",
        """
backend: "onnxruntime"
instance_group [ { count: 1 kind: KIND_CPU } ]
parameters { key: "EXECUTION" value { string_value: "process" } }
""",
    )
    write_onnx_identity(repository, "onnx_half", TensorProto.FLOAT16, ["batch", 3])
    if HAS_TORCH:
        write_torchscript(repository)
    with running_server(repository, folder) as server:
        yield server


def write_torchscript(repository: Path) -> None:
    import torch

    class Halve(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values / 2

    folder = write_config(repository, "torchscript", TORCH_CONFIG)
    traced = torch.jit.trace(Halve(), torch.zeros(1, 4))  # type: ignore[no-untyped-call]
    torch.jit.save(traced, str(folder / "1" / "model.pt"))


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    if request.param == "http":
        with tritonclient.http.InferenceServerClient(server.http_url) as http_client:
            yield http_client
    else:
        with tritonclient.grpc.InferenceServerClient(server.grpc_url) as grpc_client:
            yield grpc_client


def infer_one(client: Any, model: str, name: str, array: Any, datatype: str, output: str) -> Any:
    module = tritonclient.http if isinstance(client, tritonclient.http.InferenceServerClient) else tritonclient.grpc
    tensor = module.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return client.infer(model, [tensor]).as_numpy(output)


@pytest.mark.parametrize("model", ["onnx", "onnx_process"])
def test_onnx(client: Any, model: str) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(infer_one(client, model, "INPUT", array, "FP32", "OUTPUT"), 2 * array)


def test_half_precision_in_onnx(client: Any) -> None:
    array = np.array([[0.5, 65504, -1e-7]], np.float16)
    answer = infer_one(client, "onnx_half", "INPUT", array, "FP16", "OUTPUT")
    assert answer.dtype == np.float16
    np.testing.assert_array_equal(answer, array)


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_torchscript(client: Any) -> None:
    array = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(infer_one(client, "torchscript", "INPUT__0", array, "FP32", "OUTPUT__0"), array / 2)


def test_the_processes_are_those_of_the_models_that_asked_for_them(server: Server) -> None:
    """A worker for the Python model and for the ONNX model with EXECUTION: process; the others run in the server."""
    assert len(server.worker_processes()) == 2

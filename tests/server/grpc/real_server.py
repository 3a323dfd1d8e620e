"""Runs the gRPC server on the real engine, with Python models on threads of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server.grpc.running_server import HOST, TIMEOUT_S
from tritonpy.repository.manager import ModelManager
from tritonpy.repository.options import RepositoryOptions
from tritonpy.server.engine import Engine
from tritonpy.server.grpc.grpcio_transport import GrpcServer
from tritonpy.server.grpc.options import GrpcOptions
from tritonpy.server.grpc.service import InferenceService

ON_A_THREAD = 'backend: "python" parameters { key: "EXECUTION" value { string_value: "thread" } }'

# Gives each input back as an output.
COPY = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor(t.name().replace("IN", "OUT", 1), t.as_numpy()) for t in request.inputs()]
            )
            for request in requests
        ]
"""

# Answers with each element of its input; a negative one is answered with an error.
REPEAT = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for value in request.inputs()[0].as_numpy():
                if value < 0:
                    sender.send(pb_utils.InferenceResponse([], pb_utils.TritonError(f"neg value {value}")))
                else:
                    sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([value], np.int32))]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        return None
"""


def tensors(kind: str, *entries: tuple[str, str, int]) -> str:
    """The `input` or `output` of a configuration, from (name, datatype, size)."""
    return " ".join(
        f'{kind} {{ name: "{name}" data_type: TYPE_{datatype} dims: [ {size} ] }}' for name, datatype, size in entries
    )


def copy_config(max_batch_size: int, *entries: tuple[str, str, int]) -> str:
    outputs = [(name.replace("IN", "OUT", 1), datatype, size) for name, datatype, size in entries]
    return f"max_batch_size: {max_batch_size} {tensors('input', *entries)} {tensors('output', *outputs)}"


MODELS = {
    "identity": (COPY, copy_config(64, ("INPUT0", "FP32", -1))),
    "add_sub": (COPY, copy_config(8, ("INPUT0", "INT32", 16), ("INPUT1", "INT32", 16))),
    "ident_str": (COPY, copy_config(0, ("INPUT0", "STRING", -1))),
    "matrix": (COPY, copy_config(0, ("INPUT0", "FP32", 4))),
    "repeat": (
        REPEAT,
        f"{tensors('input', ('IN', 'INT32', -1))} {tensors('output', ('OUT', 'INT32', 1))} "
        "model_transaction_policy { decoupled: true }",
    ),
}


def write_models(repository: Path) -> None:
    for name, (code, config) in MODELS.items():
        folder = repository / name
        (folder / "1").mkdir(parents=True)
        (folder / "config.pbtxt").write_text(f"{ON_A_THREAD} {config}")
        (folder / "1" / "model.py").write_text(code)


@contextmanager
def serving(repository: Path) -> Iterator[str]:
    """Serve a repository; gives the address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[ModelManager, GrpcServer]:
        models = ModelManager(RepositoryOptions((repository,)))
        await models.load_all()
        server = GrpcServer(InferenceService(Engine(models)), GrpcOptions(HOST, 0))
        server.bind()
        await server.start()
        return models, server

    async def stop() -> None:
        await server.stop(1)
        await models.stop()

    models, server = asyncio.run_coroutine_threadsafe(start(), loop).result(TIMEOUT_S)
    try:
        yield f"{HOST}:{server.port}"
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_S)
        loop.close()

"""Writes the model repositories that the tests serve."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
from onnx import TensorProto, helper

MODELS = Path(__file__).parent / "models"

ADD_SUB_CONFIG = """
backend: "python"
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [
  { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] },
  { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] }
]
"""


def write_python_model(repository: Path, name: str, source: str, config: str) -> Path:
    """The Python model `models/<source>.py` as version 1 of model `name`; returns the model's folder."""
    folder = write_config(repository, name, config)
    shutil.copy(MODELS / f"{source}.py", folder / "1" / "model.py")
    return folder


def write_python_text(repository: Path, name: str, code: str, config: str) -> Path:
    """A Python model whose `model.py` is `code`, as version 1 of model `name`; returns the model's folder."""
    folder = write_config(repository, name, config)
    (folder / "1" / "model.py").write_text(code)
    return folder


def write_onnx_identity(
    repository: Path, name: str, element_type: int, dims: list[int | str], config: str = 'backend: "onnxruntime"'
) -> Path:
    """An ONNX graph that gives its INPUT back as OUTPUT; returns the model's folder.

    `element_type` is a TensorProto datatype, `dims` all dimensions of both tensors, names for variable ones.
    """
    graph = helper.make_graph(
        [helper.make_node("Identity", ["INPUT"], ["OUTPUT"])],
        "identity",
        [helper.make_tensor_value_info("INPUT", element_type, dims)],
        [helper.make_tensor_value_info("OUTPUT", element_type, dims)],
    )
    return write_onnx(repository, name, graph, config)


def write_onnx_double(repository: Path, name: str, config: str = 'backend: "onnxruntime"') -> Path:
    """An ONNX graph whose OUTPUT is INPUT + INPUT, FP32, shape [batch, 4]; returns the model's folder."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["INPUT", "INPUT"], ["OUTPUT"])],
        "double",
        [helper.make_tensor_value_info("INPUT", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("OUTPUT", TensorProto.FLOAT, ["batch", 4])],
    )
    return write_onnx(repository, name, graph, config)


def write_onnx(repository: Path, name: str, graph: onnx.GraphProto, config: str) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    folder = write_config(repository, name, config)
    onnx.save(model, folder / "1" / "model.onnx")
    return folder


def write_config(repository: Path, name: str, config: str) -> Path:
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(f'name: "{name}"\n{config.strip()}\n')
    return folder

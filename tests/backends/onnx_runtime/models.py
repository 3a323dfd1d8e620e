"""Small ONNX models, and their specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.backends.specs import instance_spec, make_spec
from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.onnx_runtime.backend import OnnxBackend
from tritonpy.backends.onnx_runtime.instance import OnnxInstance

Info = tuple[str, int, Sequence[int | str] | None]


def make_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Info],
    outputs: Sequence[Info],
    initializers: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """A model of operator set 17, which every supported ONNX Runtime reads."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(*info) for info in inputs],
        [helper.make_tensor_value_info(*info) for info in outputs],
        list(initializers),
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])


def identity(
    element_type: int = TensorProto.FLOAT, shape: Sequence[int | str] | None = ("batch", 4)
) -> onnx.ModelProto:
    """Y = X."""
    return make_model(
        [helper.make_node("Identity", ["X"], ["Y"])], [("X", element_type, shape)], [("Y", element_type, shape)]
    )


def gemm() -> onnx.ModelProto:
    """Y = X @ W + 1 and Z = -X, with X of [batch, 3]."""
    weights = np.arange(6, dtype=np.float32).reshape(3, 2) / 7
    return make_model(
        [
            helper.make_node("MatMul", ["X", "W"], ["P"]),
            helper.make_node("Add", ["P", "one"], ["Y"]),
            helper.make_node("Neg", ["X"], ["Z"]),
        ],
        [("X", TensorProto.FLOAT, ["batch", 3])],
        [("Y", TensorProto.FLOAT, ["batch", 2]), ("Z", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(weights, "W"),
            numpy_helper.from_array(np.ones(1, np.float32), "one"),
        ],
    )


def add_with_default() -> onnx.ModelProto:
    """Y = X + K, where K is an input with the default 2."""
    return make_model(
        [helper.make_node("Add", ["X", "K"], ["Y"])],
        [("X", TensorProto.FLOAT, ["n"]), ("K", TensorProto.FLOAT, [1])],
        [("Y", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("K", TensorProto.FLOAT, [1], [2.0])],
    )


def save(spec: ModelSpec, model: onnx.ModelProto) -> ModelSpec:
    """Write the model file of a spec."""
    onnx.save(model, spec.version_directory / "model.onnx")
    return spec


def saved(
    repository: Path,
    model: onnx.ModelProto,
    inputs: Sequence[Mapping[str, Any]] = (),
    outputs: Sequence[Mapping[str, Any]] = (),
    **config: Any,
) -> ModelSpec:
    """The spec of a model with this file and configuration."""
    return save(make_spec(repository, input=list(inputs), output=list(outputs), **config), model)


def start(spec: ModelSpec) -> OnnxInstance:
    """Load a model and make its instance."""
    return OnnxBackend().load(spec).create_instance(instance_spec())

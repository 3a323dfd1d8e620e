"""What the graph says about a configuration that leaves inputs or outputs out."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from tests.backends.onnx_runtime.models import add_with_default, gemm, identity, make_model, saved
from tests.backends.specs import entry
from tritonpy.backends.contract import Completion
from tritonpy.backends.errors import InternalError
from tritonpy.backends.onnx_runtime.backend import OnnxBackend
from tritonpy.backends.signature import TensorSpec
from tritonpy.protos import datatypes

X = TensorSpec("X", datatypes.FP32, (3,))
OUTPUTS = (TensorSpec("Y", datatypes.FP32, (2,)), TensorSpec("Z", datatypes.FP32, (3,)))


def test_everything_from_the_graph(tmp_path: Path) -> None:
    assert OnnxBackend().complete(saved(tmp_path, gemm())) == Completion(4, (X,), OUTPUTS, dynamic_batching=True)


def test_only_the_missing_side(tmp_path: Path) -> None:
    spec = saved(tmp_path, gemm(), [entry("X", "FP32", [3])], max_batch_size=16)
    assert OnnxBackend().complete(spec) == Completion(16, None, OUTPUTS, dynamic_batching=True)


def test_nothing_when_both_sides_are_configured(tmp_path: Path) -> None:
    assert OnnxBackend().complete(saved(tmp_path, gemm(), [entry("X", "FP32", [3])], [entry("Z", "FP32", [3])])) is None


@pytest.mark.parametrize(
    ("setting", "max_batch_size", "dims", "dynamic_batching"),
    [("32", 32, (3,), True), ("1", 1, (3,), False), ("0", 0, (-1, 3), False)],
)
def test_the_default_max_batch_size(
    tmp_path: Path, setting: str, max_batch_size: int, dims: tuple[int, ...], dynamic_batching: bool
) -> None:
    completion = OnnxBackend().complete(saved(tmp_path, gemm(), backend_config={"default-max-batch-size": setting}))
    assert completion is not None
    assert completion.inputs is not None
    assert completion.inputs[0].dims == dims
    assert (completion.max_batch_size, completion.dynamic_batching) == (max_batch_size, dynamic_batching)


def test_a_configured_scheduler_stays(tmp_path: Path) -> None:
    completion = OnnxBackend().complete(saved(tmp_path, gemm(), sequence_batching={}))
    assert completion is not None
    assert not completion.dynamic_batching


def test_a_fixed_first_dimension_is_no_batching(tmp_path: Path) -> None:
    completion = OnnxBackend().complete(saved(tmp_path, identity(shape=[1, "n"])))
    y = TensorSpec("Y", datatypes.FP32, (1, -1))
    assert completion == Completion(0, (TensorSpec("X", datatypes.FP32, (1, -1)),), (y,))


def test_batching_that_the_model_does_not_support(tmp_path: Path) -> None:
    with pytest.raises(InternalError) as caught:
        OnnxBackend().complete(saved(tmp_path, identity(shape=[1, 4]), max_batch_size=8))
    assert caught.value.message == (
        "autofill failed for model 'm': model does not support batching while non-zero max_batch_size is specified"
    )


def test_scalars_become_one_element(tmp_path: Path) -> None:
    completion = OnnxBackend().complete(saved(tmp_path, identity(shape=[])))
    assert completion is not None
    assert completion.inputs == (TensorSpec("X", datatypes.FP32, (1,)),)


def test_rows_of_scalars_are_reshaped(tmp_path: Path) -> None:
    completion = OnnxBackend().complete(saved(tmp_path, identity(shape=["batch"])))
    assert completion is not None
    assert completion.inputs == (TensorSpec("X", datatypes.FP32, (1,), reshape=()),)


def test_inputs_with_defaults_are_optional(tmp_path: Path) -> None:
    model = add_with_default()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    completion = OnnxBackend().complete(saved(tmp_path, model))
    assert completion is not None
    assert completion.inputs == (
        TensorSpec("X", datatypes.FP32, (3,)),
        TensorSpec("K", datatypes.FP32, (1,), optional=True),
    )


def test_batching_hides_inputs_with_defaults(tmp_path: Path) -> None:
    model = make_model(
        [helper.make_node("Add", ["X", "K"], ["Y"])],
        [("X", TensorProto.FLOAT, ["b", 2]), ("K", TensorProto.FLOAT, [1, 2])],
        [("Y", TensorProto.FLOAT, ["b", 2])],
        [helper.make_tensor("K", TensorProto.FLOAT, [1, 2], [2.0, 3.0])],
    )
    completion = OnnxBackend().complete(saved(tmp_path, model))
    assert completion is not None
    assert completion.inputs == (TensorSpec("X", datatypes.FP32, (2,)),)

"""Models whose file and configuration contradict each other are refused, with Triton's texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from tests.backends.onnx_runtime.models import add_with_default, gemm, identity, make_model, saved, start
from tests.backends.specs import entry, make_spec
from tritonpy.backends.errors import InternalError, InvalidArgumentError

X = entry("X", "FP32", [4])
Y = entry("Y", "FP32", [4])


@pytest.mark.parametrize(
    ("inputs", "outputs", "max_batch_size", "text"),
    [
        ([X, entry("Z", "FP32", [4])], [Y], 4, "configuration expects 2 inputs, model provides 1"),
        ([], [Y], 4, "unable to load model 'm', configuration expects 0 inputs, model provides 1"),
        ([entry("Q", "FP32", [4])], [Y], 4, "unexpected inference input 'Q', allowed inputs are: X"),
        ([X], [entry("Q", "FP32", [4])], 4, "unexpected inference output 'Q', allowed outputs are: Y"),
        (
            [entry("X", "INT32", [4])],
            [Y],
            4,
            "unable to load model 'm', configuration expects datatype TYPE_INT32 for input 'X', model provides "
            "TYPE_FP32",
        ),
        (
            [X],
            [entry("Y", "BF16", [4])],
            4,
            "unable to load model 'm', configuration expects datatype TYPE_BF16 for output 'Y', model provides "
            "TYPE_FP32",
        ),
        (
            [entry("X", "FP32", [5])],
            [Y],
            4,
            "model 'm', tensor 'X': the model expects 2 dimensions (shape [-1,4]) but the model configuration "
            "specifies 2 dimensions (an initial batch dimension because max_batch_size > 0 followed by the explicit "
            "tensor shape, making complete shape [-1,5])",
        ),
        (
            [entry("X", "FP32", [-1, 4, 1])],
            [entry("Y", "FP32", [-1, 4])],
            0,
            "model 'm', tensor 'X': the model expects 2 dimensions (shape [-1,4]) but the model configuration "
            "specifies 3 dimensions (shape [-1,4,1])",
        ),
        (
            [entry("X", "FP32", [-1], allow_ragged_batch=True)],
            [Y],
            4,
            "for a ragged batch the model must take the shape [-1]",
        ),
    ],
)
def test_what_does_not_fit(
    tmp_path: Path, inputs: list[Any], outputs: list[Any], max_batch_size: int, text: str
) -> None:
    spec = saved(tmp_path, identity(), inputs, outputs, max_batch_size=max_batch_size)
    with pytest.raises(InvalidArgumentError) as caught:
        start(spec)
    assert text in caught.value.message


def test_batching_needs_a_variable_first_dimension(tmp_path: Path) -> None:
    spec = saved(tmp_path, identity(shape=[1, 4]), [X], [Y], max_batch_size=4)
    with pytest.raises(InvalidArgumentError, match=r"first dimension must be -1; but shape .* is \[1,4\]"):
        start(spec)


def test_reshape_is_what_the_model_sees(tmp_path: Path) -> None:
    inputs = [entry("X", "FP32", [2, 2], reshape={"shape": [4]})]
    start(saved(tmp_path, identity(), inputs, [Y], max_batch_size=4))


def test_outputs_may_be_left_out(tmp_path: Path) -> None:
    start(saved(tmp_path, gemm(), [entry("X", "FP32", [3])], [entry("Z", "FP32", [3])], max_batch_size=4))


def test_a_model_of_unknown_rank_takes_any_configuration(tmp_path: Path) -> None:
    dims = [-1, 3]
    model = identity(shape=None)
    start(saved(tmp_path, model, [entry("X", "FP32", dims)], [entry("Y", "FP32", dims)], max_batch_size=0))


def test_optional_needs_a_default_in_the_file(tmp_path: Path) -> None:
    inputs = [entry("X", "FP32", [-1], optional=True), entry("K", "FP32", [1], optional=True)]
    with pytest.raises(InvalidArgumentError, match="'optional' is set to true for input 'X'"):
        start(saved(tmp_path, add_with_default(), inputs, [entry("Y", "FP32", [-1])], max_batch_size=0))


def test_required_inputs_must_be_configured(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="model 'm' needs the input 'X', which is not configured"):
        start(
            saved(
                tmp_path,
                add_with_default(),
                [entry("K", "FP32", [1], optional=True)],
                [entry("Y", "FP32", [-1])],
                max_batch_size=0,
            )
        )


def test_inputs_with_defaults_exclude_batching(tmp_path: Path) -> None:
    model = make_model(
        [helper.make_node("Add", ["X", "K"], ["Y"])],
        [("X", TensorProto.FLOAT, ["b", 1]), ("K", TensorProto.FLOAT, ["b", 1])],
        [("Y", TensorProto.FLOAT, ["b", 1])],
        [helper.make_tensor("K", TensorProto.FLOAT, [1, 1], [2.0])],
    )
    inputs = [entry("X", "FP32", [1]), entry("K", "FP32", [1])]
    with pytest.raises(InvalidArgumentError, match="optional input 'K' is not supported for models that support"):
        start(saved(tmp_path, model, inputs, [entry("Y", "FP32", [1])], max_batch_size=4))


def test_sequences_are_no_tensors(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["X"], ["Y"])],
        "test",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [2])],
        [helper.make_tensor_sequence_value_info("Y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(
        InvalidArgumentError,
        match="Unsupported ONNX Type 'ONNX_TYPE_SEQUENCE' for I/O 'Y', expected 'ONNX_TYPE_TENSOR'",
    ):
        start(saved(tmp_path, model, [entry("X", "FP32", [2])], [entry("Y", "FP32", [2])], max_batch_size=0))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, input=[X], output=[Y], default_model_filename="gone.onnx")
    with pytest.raises(InvalidArgumentError, match="^unable to find 'm/1/gone.onnx' for model instance 'm'$"):
        start(spec)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, input=[X], output=[Y])
    (spec.version_directory / "model.onnx").write_bytes(b"garbage")
    with pytest.raises(InternalError) as caught:
        start(spec)
    assert caught.value.message.startswith("onnx runtime error 7: Load model from m/1/model.onnx failed")
    assert str(tmp_path) not in caught.value.message


def test_external_data_that_is_missing(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, input=[entry("X", "FP32", [3])], output=[entry("Z", "FP32", [3])], max_batch_size=4)
    path = spec.version_directory / "model.onnx"
    onnx.save(gemm(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (spec.version_directory / "weights.bin").unlink()
    with pytest.raises(InternalError) as caught:
        start(spec)
    assert "weights.bin" in caught.value.message
    assert str(tmp_path) not in caught.value.message

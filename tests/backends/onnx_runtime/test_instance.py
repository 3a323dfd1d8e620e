"""What ONNX models answer: the same numbers as ONNX Runtime called directly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.backends.onnx_runtime.models import add_with_default, gemm, identity, make_model, saved, start
from tests.backends.specs import bfloat16_request, entry, error, make_request, make_spec, outputs, rows, run, words
from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, UnsupportedError
from tritonpy.backends.onnx_runtime.instance import OnnxInstance
from tritonpy.protos import datatypes

GEMM_INPUTS = [entry("X", "FP32", [3])]
GEMM_OUTPUTS = [entry("Y", "FP32", [2]), entry("Z", "FP32", [3])]


@pytest.fixture
def gemm_spec(tmp_path: Path) -> ModelSpec:
    return saved(tmp_path, gemm(), GEMM_INPUTS, GEMM_OUTPUTS, max_batch_size=8)


def values(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).standard_normal(shape, dtype=np.float32)


def test_a_batch_gives_what_the_framework_gives(gemm_spec: ModelSpec) -> None:
    array = values(6, 3)
    direct = onnxruntime.InferenceSession(str(gemm_spec.version_directory / "model.onnx"))
    expected_y, expected_z = direct.run(["Y", "Z"], {"X": array})
    parts = [array[:1], array[1:4], array[4:]]
    answers = [outputs(response) for response in run(start(gemm_spec), *(rows(X=part) for part in parts))]
    np.testing.assert_array_equal(np.concatenate([answer["Y"] for answer in answers]), expected_y)
    np.testing.assert_array_equal(np.concatenate([answer["Z"] for answer in answers]), expected_z)
    assert [len(answer["Y"]) for answer in answers] == [1, 3, 2]


def test_a_single_request(gemm_spec: ModelSpec) -> None:
    (response,) = run(start(gemm_spec), rows("Z", X=values(2, 3)))
    answer = outputs(response)
    assert set(answer) == {"Z"}
    np.testing.assert_array_equal(answer["Z"], -values(2, 3))


def test_without_batching_shapes_are_complete(tmp_path: Path) -> None:
    spec = saved(tmp_path, gemm(), [entry("X", "FP32", [-1, 3])], [entry("Z", "FP32", [-1, 3])], max_batch_size=0)
    (response,) = run(start(spec), make_request(X=values(5, 3)))
    np.testing.assert_array_equal(outputs(response)["Z"], -values(5, 3))


@pytest.mark.parametrize("batching", [True, False])
@pytest.mark.parametrize(
    ("element_type", "config_name", "array"),
    [
        (TensorProto.BOOL, "BOOL", np.array([True, False, True, True])),
        (TensorProto.UINT8, "UINT8", np.array([0, 1, 254, 255], np.uint8)),
        (TensorProto.UINT16, "UINT16", np.array([0, 1, 2, 65535], np.uint16)),
        (TensorProto.UINT32, "UINT32", np.array([0, 1, 2, 2**32 - 1], np.uint32)),
        (TensorProto.UINT64, "UINT64", np.array([0, 1, 2, 2**64 - 1], np.uint64)),
        (TensorProto.INT8, "INT8", np.array([-128, -1, 0, 127], np.int8)),
        (TensorProto.INT16, "INT16", np.array([-32768, -1, 0, 32767], np.int16)),
        (TensorProto.INT32, "INT32", np.array([-(2**31), -1, 0, 2**31 - 1], np.int32)),
        (TensorProto.INT64, "INT64", np.array([-(2**63), -1, 0, 2**63 - 1], np.int64)),
        (TensorProto.FLOAT16, "FP16", np.array([0.5, -65504, 1e-7, np.inf], np.float16)),
        (TensorProto.FLOAT, "FP32", np.array([0.5, -1e38, 1e-38, -np.inf], np.float32)),
        (TensorProto.DOUBLE, "FP64", np.array([0.5, -1e300, 1e-300, 3.0], np.float64)),
    ],
)
def test_every_datatype_passes(
    tmp_path: Path, element_type: int, config_name: str, array: np.ndarray[Any, Any], batching: bool
) -> None:
    dims = [4] if batching else [-1, 4]
    spec = saved(
        tmp_path,
        identity(element_type),
        [entry("X", config_name, dims)],
        [entry("Y", config_name, dims)],
        max_batch_size=4 if batching else 0,
    )
    requests = [rows(X=array[None])] * (2 if batching else 1)
    for response in run(start(spec), *requests):
        answer = outputs(response)["Y"]
        assert answer.dtype == array.dtype
        np.testing.assert_array_equal(answer, array[None])


def test_bf16_passes_bit_by_bit(tmp_path: Path) -> None:
    spec = saved(
        tmp_path,
        identity(TensorProto.BFLOAT16),
        [entry("X", "BF16", [4])],
        [entry("Y", "BF16", [4])],
        max_batch_size=4,
    )
    bits = np.array([[0x3F80, 0xC000, 0x7F80, 1]], np.uint16)
    responses = run(start(spec), bfloat16_request("X", bits), bfloat16_request("X", bits + 1))
    assert responses[0].outputs[0].datatype is datatypes.BF16
    np.testing.assert_array_equal(outputs(responses[0])["Y"], bits)
    np.testing.assert_array_equal(outputs(responses[1])["Y"], bits + 1)


def test_bf16_beside_other_types(tmp_path: Path) -> None:
    model = make_model(
        [helper.make_node("Cast", ["X"], ["Y"], to=TensorProto.BFLOAT16), helper.make_node("Neg", ["X"], ["Z"])],
        [("X", TensorProto.FLOAT, ["batch", 2])],
        [("Y", TensorProto.BFLOAT16, ["batch", 2]), ("Z", TensorProto.FLOAT, ["batch", 2])],
    )
    spec = saved(
        tmp_path,
        model,
        [entry("X", "FP32", [2])],
        [entry("Y", "BF16", [2]), entry("Z", "FP32", [2])],
        max_batch_size=4,
    )
    (response,) = run(start(spec), rows(X=np.array([[1, -2]], np.float32)))
    assert outputs(response)["Y"].tolist() == [[0x3F80, 0xC000]]
    assert outputs(response)["Z"].tolist() == [[-1, 2]]


def test_bf16_and_strings_together_are_refused(tmp_path: Path) -> None:
    model = make_model(
        [helper.make_node("Identity", ["X"], ["Y"]), helper.make_node("Identity", ["S"], ["T"])],
        [("X", TensorProto.BFLOAT16, [1]), ("S", TensorProto.STRING, [1])],
        [("Y", TensorProto.BFLOAT16, [1]), ("T", TensorProto.STRING, [1])],
    )
    spec = saved(
        tmp_path,
        model,
        [entry("X", "BF16", [1]), entry("S", "STRING", [1])],
        [entry("Y", "BF16", [1]), entry("T", "STRING", [1])],
        max_batch_size=0,
    )
    with pytest.raises(UnsupportedError, match="TYPE_BF16 and TYPE_STRING"):
        start(spec)


class TestStrings:
    @pytest.fixture
    def instance(self, tmp_path: Path) -> OnnxInstance:
        spec = saved(
            tmp_path,
            identity(TensorProto.STRING, ["batch", 2]),
            [entry("X", "STRING", [2])],
            [entry("Y", "STRING", [2])],
            max_batch_size=8,
        )
        return start(spec)

    def test_text_passes(self, instance: OnnxInstance) -> None:
        text = [[b"a\0b", "é\N{GRINNING FACE}".encode()], [b"", b"plain"]]
        requests = [rows(X=words(*line).reshape(1, 2)) for line in text]
        assert [outputs(response)["Y"].tolist() for response in run(instance, *requests)] == [[text[0]], [text[1]]]

    def test_what_is_no_utf8_fails_alone(self, instance: OnnxInstance) -> None:
        good = rows(X=words(b"a", b"b").reshape(1, 2))
        first, bad, last = run(instance, good, rows(X=words(b"a", b"\xff").reshape(1, 2)), good)
        assert isinstance(error(bad), InvalidArgumentError)
        assert "inference input 'X' must be UTF-8" in error(bad).message
        assert outputs(first)["Y"].tolist() == outputs(last)["Y"].tolist() == [[b"a", b"b"]]

    def test_a_batch_of_bad_requests_only(self, instance: OnnxInstance) -> None:
        (bad,) = run(instance, rows(X=words(b"\xff", b"").reshape(1, 2)))
        assert isinstance(error(bad), InvalidArgumentError)


class TestOptionalInputs:
    @pytest.fixture
    def instance(self, tmp_path: Path) -> OnnxInstance:
        inputs = [entry("X", "FP32", [-1]), entry("K", "FP32", [1], optional=True)]
        return start(saved(tmp_path, add_with_default(), inputs, [entry("Y", "FP32", [-1])], max_batch_size=0))

    def test_the_default_is_that_of_the_file(self, instance: OnnxInstance) -> None:
        (response,) = run(instance, make_request(X=np.ones(2, np.float32)))
        assert outputs(response)["Y"].tolist() == [3, 3]

    def test_a_value_overrides_it(self, instance: OnnxInstance) -> None:
        (response,) = run(instance, make_request(X=np.ones(2, np.float32), K=np.array([10], np.float32)))
        assert outputs(response)["Y"].tolist() == [11, 11]


def test_scalars_look_like_one_element_to_clients(tmp_path: Path) -> None:
    model = make_model(
        [helper.make_node("Neg", ["X"], ["Y"]), helper.make_node("Unsqueeze", ["X", "axis"], ["row"])],
        [("X", TensorProto.FLOAT, [])],
        [("Y", TensorProto.FLOAT, []), ("row", TensorProto.FLOAT, [1])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [0])],
    )
    spec = saved(
        tmp_path,
        model,
        [entry("X", "FP32", [1])],
        [entry("Y", "FP32", [1]), entry("row", "FP32", [1])],
        max_batch_size=0,
    )
    (response,) = run(start(spec), make_request(X=np.array([4], np.float32)))
    assert outputs(response)["Y"].tolist() == [-4]
    assert outputs(response)["row"].shape == (1,)  # one dimension more than the model got


def test_ragged_inputs_arrive_in_one_row(tmp_path: Path) -> None:
    model = make_model(
        [helper.make_node("Size", ["X"], ["n"]), helper.make_node("Mul", ["n", "F"], ["Y"])],
        [("X", TensorProto.FLOAT, ["elements"]), ("F", TensorProto.INT64, ["batch", 1])],
        [("Y", TensorProto.INT64, ["batch", 1])],
    )
    spec = saved(
        tmp_path,
        model,
        [entry("X", "FP32", [-1], allow_ragged_batch=True), entry("F", "INT64", [1])],
        [entry("Y", "INT64", [1])],
        max_batch_size=2,
    )
    requests = [
        rows(X=np.zeros((1, 3), np.float32), F=np.array([[1]])),
        rows(X=np.zeros((1, 4), np.float32), F=np.array([[10]])),
    ]
    assert [outputs(response)["Y"].tolist() for response in run(start(spec), *requests)] == [[[7]], [[70]]]


def test_too_few_rows_fail_the_batch(tmp_path: Path) -> None:
    model = make_model(
        [helper.make_node("Compress", ["X", "first_row"], ["Y"], axis=0)],
        [("X", TensorProto.FLOAT, ["batch", 4])],
        [("Y", TensorProto.FLOAT, ["rows", 4])],
        [helper.make_tensor("first_row", TensorProto.BOOL, [1], [True])],
    )
    spec = saved(tmp_path, model, [entry("X", "FP32", [4])], [entry("Y", "FP32", [4])], max_batch_size=8)
    for response in run(start(spec), rows(X=np.ones((1, 4), np.float32)), rows(X=np.ones((2, 4), np.float32))):
        assert isinstance(error(response), InternalError)
        assert error(response).message.endswith("expected batch size of at least 3 in model output, got 1")


def test_an_error_of_the_run_answers_every_request(tmp_path: Path) -> None:
    model = make_model(
        [helper.make_node("Gather", ["table", "X"], ["Y"])],
        [("X", TensorProto.INT64, ["batch", 1])],
        [("Y", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor("table", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])],
    )
    spec = saved(tmp_path, model, [entry("X", "INT64", [1])], [entry("Y", "FP32", [1])], max_batch_size=8)
    instance = start(spec)
    good, bad = rows(X=np.array([[1]])), rows(X=np.array([[7]]))
    for response in run(instance, good, bad):
        assert isinstance(error(response), InvalidArgumentError)
        assert error(response).message.startswith("onnx runtime error 2: Non-zero status code returned while running")
        assert "idx=7" in error(response).message
    (response,) = run(instance, good)
    assert outputs(response)["Y"].tolist() == [[2]]


def test_a_folder_with_external_data(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, input=GEMM_INPUTS, output=GEMM_OUTPUTS, max_batch_size=8)
    folder = spec.version_directory / "model.onnx"
    folder.mkdir()
    onnx.save(gemm(), folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (folder / "weights.bin").stat().st_size == 28
    (response,) = run(start(spec), rows(X=np.zeros((1, 3), np.float32)))
    assert outputs(response)["Y"].tolist() == [[1, 1]]


def test_another_file_name(tmp_path: Path) -> None:
    spec = make_spec(
        tmp_path, input=GEMM_INPUTS, output=GEMM_OUTPUTS, max_batch_size=8, default_model_filename="net.onnx"
    )
    onnx.save(gemm(), spec.version_directory / "net.onnx")
    assert "Y" in outputs(run(start(spec), rows(X=values(1, 3)))[0])


def test_arena_shrinkage_is_passed_to_the_run(tmp_path: Path) -> None:
    parameters = {"memory.enable_memory_arena_shrinkage": "cpu:0"}
    spec = saved(tmp_path, gemm(), GEMM_INPUTS, GEMM_OUTPUTS, max_batch_size=8, parameters=parameters)
    assert "Y" in outputs(run(start(spec), rows(X=values(1, 3)))[0])
    wrong = saved(
        tmp_path,
        gemm(),
        GEMM_INPUTS,
        GEMM_OUTPUTS,
        max_batch_size=8,
        parameters={"memory.enable_memory_arena_shrinkage": "nonsense"},
    )
    assert "onnx runtime error" in error(run(start(wrong), rows(X=values(1, 3)))[0]).message

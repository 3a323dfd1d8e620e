"""TorchScript models: the same numbers as torch called directly, Triton's naming rules and texts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.backends.pytorch.models import Linear, SumAndDifference, X, Y, spec_of, start, write_torchscript
from tests.backends.specs import bfloat16_request, entry, error, make_request, outputs, rows, run, words
from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.pytorch.backend import PyTorchBackend
from tritonpy.protos import datatypes


class Identity(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def values(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).standard_normal(shape, dtype=np.float32)


def test_a_batch_gives_what_the_framework_gives(tmp_path: Path) -> None:
    instance = start(write_torchscript(spec_of(tmp_path), Linear(), torch.zeros(1, 4)))
    array = values(6, 4)
    with torch.inference_mode():
        expected = Linear()(torch.from_numpy(array)).numpy()
    responses = run(instance, *(rows(INPUT__0=part) for part in (array[:1], array[1:4], array[4:])))
    answers = [outputs(response)["OUTPUT__0"] for response in responses]
    assert [len(answer) for answer in answers] == [1, 3, 2]
    np.testing.assert_allclose(np.concatenate(answers), expected, rtol=1e-6)


def test_without_batching_shapes_are_complete(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path, [entry("INPUT__0", "FP32", [-1, 4])], [entry("OUTPUT__0", "FP32", [-1, 3])], max_batch_size=0
    )
    (response,) = run(start(write_torchscript(spec, Linear(), torch.zeros(1, 4))), make_request(INPUT__0=values(5, 4)))
    assert outputs(response)["OUTPUT__0"].shape == (5, 3)


@pytest.mark.parametrize("request_count", [1, 2])
@pytest.mark.parametrize(
    ("config_name", "array"),
    [
        ("BOOL", np.array([True, False])),
        ("UINT8", np.array([0, 255], np.uint8)),
        ("UINT16", np.array([0, 65535], np.uint16)),
        ("UINT32", np.array([0, 2**32 - 1], np.uint32)),
        ("UINT64", np.array([0, 2**64 - 1], np.uint64)),
        ("INT8", np.array([-128, 127], np.int8)),
        ("INT16", np.array([-32768, 32767], np.int16)),
        ("INT32", np.array([-(2**31), 2**31 - 1], np.int32)),
        ("INT64", np.array([-(2**63), 2**63 - 1], np.int64)),
        ("FP16", np.array([-65504, 1e-7], np.float16)),
        ("FP32", np.array([-1e38, np.inf], np.float32)),
        ("FP64", np.array([-1e300, 1e-300], np.float64)),
    ],
)
def test_every_datatype_passes(
    tmp_path: Path, config_name: str, array: np.ndarray[Any, Any], request_count: int
) -> None:
    spec = spec_of(tmp_path, [entry("X", config_name, [2])], [entry("Y", config_name, [2])])
    instance = start(write_torchscript(spec, Identity()))
    for response in run(instance, *[rows(X=array[None])] * request_count):
        answer = outputs(response)["Y"]
        assert answer.dtype == array.dtype
        np.testing.assert_array_equal(answer, array[None])


def test_bf16_is_computed_as_such(tmp_path: Path) -> None:
    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    spec = spec_of(tmp_path, [entry("X", "BF16", [2])], [entry("Y", "BF16", [2])])
    (response,) = run(
        start(write_torchscript(spec, Double())), bfloat16_request("X", np.array([[0x3F80, 0xC000]], np.uint16))
    )
    assert response.outputs[0].datatype is datatypes.BF16
    assert outputs(response)["Y"].tolist() == [[0x4000, 0xC080]]  # 2 and -4


class TestNames:
    """Which configured input is which argument."""

    def answer(self, tmp_path: Path, inputs: list[str], results: list[str]) -> dict[str, float]:
        """The results of (first input 10, second input 1)."""
        spec = spec_of(
            tmp_path, [entry(name, "FP32", [1]) for name in inputs], [entry(name, "FP32", [1]) for name in results]
        )
        instance = start(write_torchscript(spec, SumAndDifference()))
        arrays = dict(zip(inputs, (np.array([[10.0]], np.float32), np.array([[1.0]], np.float32)), strict=True))
        return {name: array.item() for name, array in outputs(run(instance, rows(**arrays))[0]).items()}

    def test_arguments_of_forward(self, tmp_path: Path) -> None:
        assert self.answer(tmp_path, ["right", "left"], ["a", "b"]) == {"a": 11, "b": -9}

    def test_positions(self, tmp_path: Path) -> None:
        assert self.answer(tmp_path, ["IN__1", "other__0"], ["out__1", "out__0"]) == {"out__0": 11, "out__1": -9}

    def test_order_of_the_configuration(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            assert self.answer(tmp_path, ["p", "q"], ["a", "b"]) == {"a": 11, "b": 9}
        assert "the inputs of model 'm' have neither the model's own names nor names like INPUT__0" in caplog.text

    def test_mixed_styles_fall_back_to_the_order(self, tmp_path: Path) -> None:
        assert self.answer(tmp_path, ["IN__1", "left"], ["a", "out__0"]) == {"a": 11, "out__0": 9}

    def test_a_result_may_be_left_out(self, tmp_path: Path) -> None:
        assert self.answer(tmp_path, ["left", "right"], ["difference__1"]) == {"difference__1": 9}


def test_an_output_index_that_does_not_exist(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, outputs=[entry("OUTPUT__3", "FP32", [3])])
    (response,) = run(start(write_torchscript(spec, Linear(), torch.zeros(1, 4))), rows(INPUT__0=values(1, 4)))
    assert error(response).message == (
        "The output OUTPUT__3 in the model configuration refers to an output index which doesn't exist. This model has "
        "1 outputs"
    )


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["IN__0"], "unable to load model 'm', configuration expects 1 inputs, model provides 2"),
        (["a", "b", "c"], "unable to load model 'm', configuration expects 3 inputs, model provides 2"),
        (["IN__0", "IN__2"], "must be the 2 arguments of its forward, called left, right or <anything>__0 to "),
        (["A__0", "B__0"], "the inputs 'A__0', 'B__0' of model 'm' mean the same input of the model"),
    ],
)
def test_inputs_that_do_not_fit_forward(tmp_path: Path, names: list[str], text: str) -> None:
    spec = spec_of(tmp_path, [entry(name, "FP32", [1]) for name in names], [entry("OUT__0", "FP32", [1])])
    with pytest.raises(InvalidArgumentError) as caught:
        start(write_torchscript(spec, SumAndDifference()))
    assert text in caught.value.message


class Greeting(torch.nn.Module):
    def forward(self, names: list[str], count: torch.Tensor) -> tuple[list[str], torch.Tensor]:
        return ["hello " + name for name in names], count + len(names)


class TestText:
    @pytest.fixture
    def spec(self, tmp_path: Path) -> ModelSpec:
        inputs = [entry("names", "STRING", [1]), entry("count", "INT64", [1])]
        results = [entry("greetings", "STRING", [1]), entry("counts", "INT64", [1])]
        return write_torchscript(spec_of(tmp_path, inputs, results), Greeting())

    def request(self, *names: str | bytes) -> Any:
        return rows(names=words(*names).reshape(-1, 1), count=np.zeros((len(names), 1), np.int64))

    def test_lists_of_text(self, spec: ModelSpec) -> None:
        first, second = run(start(spec), self.request("Ann", "Zoë"), self.request("Bo"))
        assert outputs(first)["greetings"].tolist() == [[b"hello Ann"], ["hello Zoë".encode()]]
        assert outputs(second)["greetings"].tolist() == [[b"hello Bo"]]
        assert outputs(second)["counts"].tolist() == [[3]]

    def test_what_is_no_utf8_fails_alone(self, spec: ModelSpec) -> None:
        bad, good = run(start(spec), self.request(b"\xff"), self.request("Bo"))
        assert isinstance(error(bad), InvalidArgumentError)
        assert outputs(good)["greetings"].tolist() == [[b"hello Bo"]]

    def test_only_one_dimension(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path, [entry("names", "STRING", [2])], [Y])
        with pytest.raises(
            InvalidArgumentError, match="Triton only supports 1 dimensional List of String as input for 'names'"
        ):
            start(spec)

    @pytest.mark.parametrize(
        ("inputs", "text"),
        [
            (
                [entry("names", "FP32", [1]), entry("count", "INT64", [1])],
                r"argument 'names' .* must be a Tensor; it is List\[str\]",
            ),
            (
                [entry("names", "STRING", [1]), entry("count", "STRING", [1])],
                r"argument 'count' .* must be a List\[str\] .*; it is Tensor",
            ),
        ],
    )
    def test_kinds_of_arguments(self, tmp_path: Path, inputs: list[Any], text: str) -> None:
        spec = spec_of(tmp_path, inputs, [entry("greetings", "STRING", [1])])
        with pytest.raises(InvalidArgumentError, match=text):
            start(write_torchscript(spec, Greeting()))


def test_a_dictionary_of_tensors(tmp_path: Path) -> None:
    class FromDictionary(torch.nn.Module):
        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            return inputs["left"] - inputs["right"]

    spec = spec_of(
        tmp_path, [entry("right", "FP32", [1]), entry("left", "FP32", [1])], [entry("difference", "FP32", [1])]
    )
    request = rows(left=np.array([[10.0]], np.float32), right=np.array([[1.0]], np.float32))
    (response,) = run(start(write_torchscript(spec, FromDictionary())), request)
    assert outputs(response)["difference"].tolist() == [[9]]


def test_arguments_with_defaults_may_be_left_out(tmp_path: Path) -> None:
    class Scaled(torch.nn.Module):
        def forward(self, x: torch.Tensor, offset: torch.Tensor | None = None, factor: int = 3) -> torch.Tensor:
            return x * factor

    spec = spec_of(tmp_path, [entry("x", "FP32", [1])], [entry("y", "FP32", [1])])
    (response,) = run(start(write_torchscript(spec, Scaled())), rows(x=np.array([[2.0]], np.float32)))
    assert outputs(response)["y"].tolist() == [[6]]


class ReturnsDictionary(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": x}


class ReturnsList(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x]


class ReturnsNumber(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> float:
        return float(x.sum().item())


class ReturnsScalar(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum()


class ReturnsIntegers(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.int32)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (ReturnsDictionary(), "output must be of type Tensor, List[str] or Tuple containing one of these two types."),
        (ReturnsList(), "output must be of type Tensor, List[str] or Tuple containing one of these two types."),
        (ReturnsNumber(), "output must be of type Tensor, List[str] or Tuple containing one of these two types."),
        (ReturnsScalar(), "output 'OUTPUT__0' is a scalar which is not supported."),
        (
            ReturnsIntegers(),
            "configuration expects datatype TYPE_FP32 for output 'OUTPUT__0', model provides TYPE_INT32",
        ),
    ],
)
def test_what_a_model_must_not_return(tmp_path: Path, module: torch.nn.Module, text: str) -> None:
    instance = start(write_torchscript(spec_of(tmp_path), module))
    for response in run(instance, rows(INPUT__0=values(1, 4)), rows(INPUT__0=values(2, 4))):
        assert error(response).message.startswith(text)


def test_a_failed_run_names_the_cause_and_no_files(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, [entry("INPUT__0", "FP32", [-1])])
    instance = start(write_torchscript(spec, Linear(), torch.zeros(1, 4)))
    for response in run(instance, rows(INPUT__0=values(1, 5)), rows(INPUT__0=values(1, 5))):
        assert isinstance(error(response), InternalError)
        assert error(response).message == (
            "PyTorch execute failure: mat1 and mat2 shapes cannot be multiplied (2x5 and 4x3)"
        )
    assert "OUTPUT__0" in outputs(run(instance, rows(INPUT__0=values(1, 4)))[0])


def test_too_few_rows(tmp_path: Path) -> None:
    class FirstRow(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:1, :3]

    instance = start(write_torchscript(spec_of(tmp_path), FirstRow()))
    messages = {error(one).message for one in run(instance, *[rows(INPUT__0=values(2, 4))] * 2)}
    assert messages == {
        "failed to split the output tensor 'OUTPUT__0' in responses: expected batch size of at least 4 in model "
        "output, got 1"
    }


class TestMemory:
    """Request data is shared with models, unless they would change it."""

    class AddsInPlace(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.view(-1, 4).add_(1)[:, :3]

    class Counts(torch.nn.Module):
        """Returns its own state, which the next run changes."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("total", torch.zeros(1, 3))
            self.total: torch.Tensor

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.total += x[:, :3]
            return self.total

    def test_a_single_request_is_not_copied(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path, outputs=[entry("OUTPUT__0", "FP32", [4])])
        request = rows(INPUT__0=values(1, 4))
        (response,) = run(start(write_torchscript(spec, Identity())), request)
        given = np.frombuffer(request.inputs["INPUT__0"].buffer, np.uint8)
        assert np.shares_memory(outputs(response)["OUTPUT__0"], given)

    def test_writing_to_inputs_does_not_reach_the_request(self, tmp_path: Path) -> None:
        request = rows(INPUT__0=np.zeros((1, 4), np.float32))
        (response,) = run(start(write_torchscript(spec_of(tmp_path), self.AddsInPlace())), request)
        assert outputs(response)["OUTPUT__0"].tolist() == [[1, 1, 1]]
        assert bytes(request.inputs["INPUT__0"].buffer) == bytes(16)

    def test_an_answer_does_not_change_with_the_model_state(self, tmp_path: Path) -> None:
        instance = start(write_torchscript(spec_of(tmp_path), self.Counts()))
        request = rows(INPUT__0=np.ones((1, 4), np.float32))
        first, second = (outputs(run(instance, request)[0])["OUTPUT__0"] for _ in range(2))
        assert (first.tolist(), second.tolist()) == ([[1, 1, 1]], [[2, 2, 2]])


class TestLoading:
    @pytest.mark.parametrize(("inputs", "results", "kind"), [((), (Y,), "input"), ((X,), (), "output")])
    def test_tensors_must_be_configured(self, tmp_path: Path, inputs: Any, results: Any, kind: str) -> None:
        spec = write_torchscript(spec_of(tmp_path, inputs, results), Linear(), torch.zeros(1, 4))
        assert PyTorchBackend().complete(spec) is None
        with pytest.raises(
            InvalidArgumentError, match=f"model configuration must contain at least one {kind}, none were specified."
        ):
            start(spec)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidArgumentError, match="^unable to find 'm/1/model.pt' for model instance 'm'$"):
            start(spec_of(tmp_path))

    def test_a_file_that_is_no_model(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path)
        (spec.version_directory / "model.pt").write_bytes(b"garbage")
        with pytest.raises(InternalError, match="failed to load model 'm': .*not a ZIP archive") as caught:
            start(spec)
        assert str(tmp_path) not in caught.value.message

    def test_a_state_dict_is_no_torchscript(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path)
        torch.save(Linear().state_dict(), spec.version_directory / "model.pt")
        with pytest.raises(InternalError, match="failed to load model 'm': .*constants.pkl"):
            start(spec)

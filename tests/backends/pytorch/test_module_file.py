"""A model.py with an nn.Module: its weights, torch.compile, and mistakes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.backends.pytorch.models import Linear, SumAndDifference, spec_of, start, write_torchscript
from tests.backends.specs import entry, error, outputs, rows, run
from tritonpy.backends.contract import ModelSpec
from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.backends.pytorch.backend import PyTorchBackend, model_file
from tritonpy.backends.pytorch.module_file import compile_options

NET = """
import torch
from torch.nn import Linear

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Linear(4, 3)

    def forward(self, x):
        return self.layer(x)
"""
TWO_INPUTS = """
import torch

class Net(torch.nn.Module):
    def forward(self, left, right):
        return [left + right, left - right]
"""


def module_spec(repository: Path, source: str = NET, **config: Any) -> ModelSpec:
    spec = spec_of(repository, **{"filename": "model.py", **config})
    (spec.version_directory / "model.py").write_text(source)
    return spec


def save_weights(spec: ModelSpec, name: str) -> None:
    path = spec.version_directory / name
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(Linear().state_dict(), str(path))
    else:
        torch.save(Linear().state_dict(), path)


def answers(instance: Any, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return outputs(run(instance, rows(INPUT__0=array))[0])["OUTPUT__0"]


def expected(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        result: np.ndarray[Any, Any] = Linear()(torch.from_numpy(array)).numpy()
    return result


def values(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("weights", ["model.safetensors", "model.pt", "model.pth"])
def test_weights_beside_the_file(tmp_path: Path, weights: str) -> None:
    spec = module_spec(tmp_path)
    save_weights(spec, weights)
    array = values(3, 4)
    np.testing.assert_allclose(answers(start(spec), array), expected(array), rtol=1e-6)


def test_a_batch_is_split_again(tmp_path: Path) -> None:
    spec = module_spec(tmp_path)
    save_weights(spec, "model.pt")
    array = values(4, 4)
    first, second = run(start(spec), rows(INPUT__0=array[:1]), rows(INPUT__0=array[1:]))
    np.testing.assert_allclose(outputs(first)["OUTPUT__0"], expected(array[:1]), rtol=1e-6)
    np.testing.assert_allclose(outputs(second)["OUTPUT__0"], expected(array[1:]), rtol=1e-6)


def test_inputs_and_outputs_are_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    inputs = [entry("right", "FP32", [1]), entry("left", "FP32", [1])]
    results = [entry("sum", "FP32", [1]), entry("difference", "FP32", [1])]
    request = rows(left=np.array([[10.0]], np.float32), right=np.array([[1.0]], np.float32))
    (response,) = run(start(module_spec(tmp_path, TWO_INPUTS, inputs=inputs, outputs=results)), request)
    assert {name: array.item() for name, array in outputs(response).items()} == {"sum": 11, "difference": -9}


class TestWhichFile:
    """How a folder says that model.py is the model."""

    def test_by_the_runtime(self, tmp_path: Path) -> None:
        spec = module_spec(tmp_path, filename="model.pt", runtime="model.py")
        save_weights(spec, "model.pt")
        assert model_file(spec).name == "model.py"
        array = values(1, 4)
        np.testing.assert_allclose(answers(start(spec), array), expected(array), rtol=1e-6)

    def test_because_there_is_nothing_else(self, tmp_path: Path) -> None:
        assert model_file(module_spec(tmp_path, filename="model.pt")).name == "model.py"

    def test_torchscript_needs_no_model_py(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path, runtime="model.py")
        write_torchscript(spec, Linear(), torch.zeros(1, 4))
        assert model_file(spec).name == "model.pt"
        assert answers(start(spec), values(1, 4)).shape == (1, 3)


def test_files_beside_it_can_be_imported(tmp_path: Path) -> None:
    spec = module_spec(tmp_path, NET.replace("from torch.nn import Linear", "from .layers import Linear"))
    (spec.version_directory / "layers.py").write_text("from torch.nn import Linear\n")
    assert answers(start(spec), values(1, 4)).shape == (1, 3)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch\nfrom torch.nn import Linear\n", "none"),
        (NET + "\nclass Other(torch.nn.Module):\n    pass\n", "Net, Other"),
    ],
)
def test_there_must_be_exactly_one_module(tmp_path: Path, source: str, found: str) -> None:
    with pytest.raises(
        InvalidArgumentError,
        match=f"m/1/model.py must define exactly one class derived from torch.nn.Module, found: {found}",
    ):
        start(module_spec(tmp_path, source))


def test_code_that_raises(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="failed to load model 'm': ZeroDivisionError: division by zero"):
        start(module_spec(tmp_path, "1 / 0"))


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    spec = module_spec(tmp_path)
    torch.save({"other": torch.zeros(1)}, spec.version_directory / "model.pt")
    with pytest.raises(InternalError, match=r"failed to load model 'm': (?s:.*)layer.weight(?s:.*)other"):
        start(spec)


class MakesFolder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._path),)


def test_weights_are_never_unpickled_as_objects(tmp_path: Path) -> None:
    spec = module_spec(tmp_path)
    witness = tmp_path / "witness"
    torch.save({"layer.weight": MakesFolder(witness)}, spec.version_directory / "model.pt")
    with pytest.raises(InternalError, match="failed to load model 'm'"):
        start(spec)
    assert not witness.exists()


def test_a_module_that_raises(tmp_path: Path) -> None:
    source = NET.replace("return self.layer(x)", "raise ValueError('no such luck')")
    instance = start(module_spec(tmp_path, source))
    for response in run(instance, *[rows(INPUT__0=values(1, 4))] * 2):
        assert isinstance(error(response), InternalError)
        assert error(response).message == "PyTorch execute failure: ValueError: no such luck"


def test_too_few_results(tmp_path: Path) -> None:
    results = [entry("a", "FP32", [3]), entry("b", "FP32", [3])]
    (response,) = run(start(module_spec(tmp_path, outputs=results)), rows(INPUT__0=values(1, 4)))
    assert "The output b in the model configuration refers to an output index" in error(response).message


class TestCompile:
    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({}, None),
            ({"TORCH_COMPILE": "true"}, {}),
            ({"TORCH_COMPILE_OPTIONAL_PARAMETERS": '{"dynamic": true}'}, {"dynamic": True}),
            ({"TORCH_COMPILE": "0", "TORCH_COMPILE_OPTIONAL_PARAMETERS": "{}"}, None),
        ],
    )
    def test_options(self, parameters: dict[str, str], expected: object) -> None:
        assert compile_options(parameters) == expected

    @pytest.mark.parametrize("text", ["{", "[]", '{"model": 1}'])
    def test_wrong_options(self, text: str) -> None:
        with pytest.raises(InvalidArgumentError, match="TORCH_COMPILE_OPTIONAL_PARAMETERS' must be a JSON object"):
            compile_options({"TORCH_COMPILE_OPTIONAL_PARAMETERS": text})

    def test_it_is_compiled_when_it_is_loaded(self, tmp_path: Path) -> None:
        """With the compiler `eager`, which keeps torch's own kernels: what counts here is when it runs."""
        spec = module_spec(
            tmp_path, parameters={"TORCH_COMPILE_OPTIONAL_PARAMETERS": '{"backend": "eager", "fullgraph": true}'}
        )
        save_weights(spec, "model.pt")
        instance = start(spec)
        array = values(5, 4)
        with torch._dynamo.config.patch(error_on_recompile=True):
            for part in (array[:1], array, array[:3]):
                np.testing.assert_allclose(answers(instance, part), expected(part), rtol=1e-6)

    def test_what_cannot_be_compiled_fails_to_load(self, tmp_path: Path) -> None:
        source = NET.replace("return self.layer(x)", "print('side effect'); import os; os.getpid(); return eval('x')")
        parameters = {"TORCH_COMPILE_OPTIONAL_PARAMETERS": '{"backend": "eager", "fullgraph": true}'}
        with pytest.raises(InternalError, match="PyTorch execute failure"):
            start(module_spec(tmp_path, source, parameters=parameters))

    @pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
    def test_the_default_compiler(self, tmp_path: Path) -> None:
        spec = module_spec(tmp_path, max_batch_size=1, parameters={"TORCH_COMPILE": "true"})
        save_weights(spec, "model.pt")
        array = values(1, 4)
        np.testing.assert_allclose(answers(start(spec), array), expected(array), rtol=1e-5)


def test_the_example_modules_agree() -> None:
    """The two results that the tests above tell apart."""
    total, difference = SumAndDifference()(torch.tensor([10.0]), torch.tensor([1.0]))
    assert (total.item(), difference.item()) == (11, 9)


def test_complete_says_nothing(tmp_path: Path) -> None:
    assert PyTorchBackend().complete(module_spec(tmp_path, inputs=[], outputs=[])) is None

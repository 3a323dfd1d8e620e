"""Packages of AOTInductor. One is compiled for all tests: that takes tens of seconds and a C++ compiler."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.backends.pytorch.models import spec_of, start
from tests.backends.specs import entry, error, instance_spec, make_request, outputs, rows, run
from tritonpy.backends.contract import DeviceKind, ModelSpec
from tritonpy.backends.errors import InvalidArgumentError, UnsupportedError
from tritonpy.backends.pytorch.backend import PyTorchBackend
from tritonpy.backends.pytorch.inductor import InductorProgram, check_processor

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler")


class Scores(torch.nn.Module):
    """(x [batch, 4], key=[batch, 1]) -> {"shifted": [batch, 4], "key": [batch, 1]}"""

    def forward(self, x: torch.Tensor, *, key: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"shifted": x * 2 + 1, "key": key + 1}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    batch = torch.export.Dim("batch", max=64)
    program = torch.export.export(
        Scores(),
        (torch.randn(2, 4),),
        {"key": torch.zeros(2, 1, dtype=torch.int64)},
        dynamic_shapes={"x": {0: batch}, "key": {0: batch}},
    )
    path = tmp_path_factory.mktemp("inductor") / "model.pt2"
    torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    return path


INPUTS = [entry("ARGS[0]", "FP32", [4]), entry("KWARGS[key]", "INT64", [1])]
RESULTS = [entry("RESULT[key]", "INT64", [1]), entry("RESULT[shifted]", "FP32", [4])]


def spec_for(repository: Path, package: Path, inputs: Any = INPUTS, results: Any = RESULTS, **config: Any) -> ModelSpec:
    spec = spec_of(repository, inputs, results, filename="model.pt2", **config)
    shutil.copy(package, spec.version_directory / "model.pt2")
    return spec


def request(**names: str) -> Any:
    """Two rows; `names` say what the inputs are called."""
    arrays = {"x": np.arange(8, dtype=np.float32).reshape(2, 4), "key": np.array([[5], [6]])}
    return rows(**{names.get(role, role): array for role, array in arrays.items()})


def test_batches(tmp_path: Path, package: Path) -> None:
    one = request(x="ARGS[0]", key="KWARGS[key]")
    for response in run(start(spec_for(tmp_path, package)), one, one):
        answer = outputs(response)
        assert answer["RESULT[shifted]"].tolist() == (np.arange(8).reshape(2, 4) * 2 + 1).tolist()
        assert answer["RESULT[key]"].tolist() == [[6], [7]]


def test_a_single_request(tmp_path: Path, package: Path) -> None:
    (response,) = run(start(spec_for(tmp_path, package)), request(x="ARGS[0]", key="KWARGS[key]"))
    assert outputs(response)["RESULT[key]"].tolist() == [[6], [7]]


@pytest.mark.parametrize(("x", "key"), [("IN__0", "IN__1"), ("x", "key")])
def test_other_names(tmp_path: Path, package: Path, x: str, key: str) -> None:
    inputs = [entry(x, "FP32", [4]), entry(key, "INT64", [1])]
    results = [entry("OUTPUT__1", "INT64", [1]), entry("OUTPUT__0", "FP32", [4])]
    (response,) = run(start(spec_for(tmp_path, package, inputs, results)), request(x=x, key=key))
    assert outputs(response)["OUTPUT__1"].tolist() == [[6], [7]]


def test_nothing_is_said_about_types_and_shapes(tmp_path: Path, package: Path) -> None:
    assert PyTorchBackend().complete(spec_for(tmp_path, package, [], [])) is None


@pytest.mark.parametrize(
    ("inputs", "results", "text"),
    [
        (INPUTS[:1], RESULTS, "configuration expects 1 inputs, model provides 2"),
        ([entry("A__0", "FP32", [4]), entry("A__7", "INT64", [1])], RESULTS, "must be ARGS[0], KWARGS[key], or"),
        (INPUTS, [entry("OUTPUT__2", "FP32", [4])], "refers to an output index which doesn't exist"),
        (
            [entry("ARGS[0]", "STRING", [1]), INPUTS[1]],
            RESULTS,
            "unsupported datatype TYPE_STRING for input 'ARGS[0]' for model 'm'",
        ),
    ],
)
def test_what_does_not_fit(tmp_path: Path, package: Path, inputs: Any, results: Any, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        start(spec_for(tmp_path, package, inputs, results))
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("dims", "array", "text"),
    [
        (4, np.zeros((2, 4), np.float64), "input 'ARGS[0]': unmatched dtype"),
        (5, np.zeros((2, 5), np.float32), "input 'ARGS[0]': unmatched dim value at 1, expected: 4, but got: 5"),
        (4, np.zeros((65, 4), np.float32), "input 'ARGS[0]': dim value is too large at 0, expected to be <= 64"),
    ],
)
def test_a_configuration_that_is_wrong_does_no_harm(
    tmp_path: Path, package: Path, dims: int, array: np.ndarray[Any, Any], text: str
) -> None:
    """The code would read foreign memory if nobody looked at its inputs."""
    config_name = "FP64" if array.dtype == np.float64 else "FP32"
    inputs = [entry("ARGS[0]", config_name, [-1, dims]), entry("KWARGS[key]", "INT64", [-1, 1])]
    spec = spec_for(tmp_path, package, inputs, [entry("RESULT[shifted]", "FP32", [-1, 4])], max_batch_size=0)
    arrays: dict[str, Any] = {"ARGS[0]": array, "KWARGS[key]": np.zeros((len(array), 1), np.int64)}
    (response,) = run(start(spec), make_request(**arrays))
    assert isinstance(error(response), InvalidArgumentError)
    assert error(response).message.startswith('Inductor model instance "m" execution failure: ')
    assert text in error(response).message


def test_a_package_for_another_device(tmp_path: Path, package: Path) -> None:
    spec = spec_for(tmp_path, package)
    with pytest.raises(
        UnsupportedError, match="was compiled for the device 'cpu', but its instances are to run on 'meta'"
    ):
        InductorProgram(spec.model_path, spec, torch.device("meta"))


@pytest.mark.parametrize(
    ("needed", "available", "fits"),
    [
        ("AVX512 AVX512_VNNI AMX_TILE", "AVX512", True),
        ("AVX2", "AVX512", True),
        ("AVX512 AVX512_VNNI", "AVX2", False),
        ("AVX2", "DEFAULT", False),
        ("", "DEFAULT", True),
    ],
)
def test_the_processor_must_have_the_instructions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: str, available: str, fits: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: available)
    spec = spec_of(tmp_path)
    if fits:
        check_processor({"AOTI_CPU_ISA": needed}, spec)
    else:
        with pytest.raises(UnsupportedError, match=f"for a processor with {needed}; this one has {available}"):
            check_processor({"AOTI_CPU_ISA": needed}, spec)


def test_the_model_may_place_itself(tmp_path: Path, package: Path) -> None:
    instance = PyTorchBackend().load(spec_for(tmp_path, package)).create_instance(instance_spec(DeviceKind.MODEL))
    (response,) = run(instance, request(x="ARGS[0]", key="KWARGS[key]"))
    assert outputs(response)["RESULT[key]"].tolist() == [[6], [7]]

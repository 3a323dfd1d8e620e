"""The rows of Triton's autofill, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository.configs import config_of, make_model
from tritonpy.backends.errors import InvalidArgumentError
from tritonpy.repository.autofill import autofill

Filled = tuple[str, str, str]
"""backend, platform, default_model_filename"""

TENSORFLOW = ("tensorflow", "tensorflow_savedmodel", "model.savedmodel")
GRAPHDEF = ("tensorflow", "tensorflow_graphdef", "model.graphdef")
TENSORRT = ("tensorrt", "tensorrt_plan", "model.plan")
ONNX = ("onnxruntime", "onnxruntime_onnx", "model.onnx")
OPENVINO = ("openvino", "", "model.xml")
PYTORCH = ("pytorch", "pytorch_libtorch", "model.pt")
INDUCTOR = ("pytorch", "torch_aoti", "model.pt2")
PYTHON = ("python", "", "model.py")
BY_FILE = (TENSORFLOW, GRAPHDEF, TENSORRT, ONNX, OPENVINO, PYTORCH, INDUCTOR, PYTHON)


def filled(directory: Path, text: str = "") -> Filled:
    config = config_of(text)
    autofill(config, directory)
    return config.backend, config.platform, config.default_model_filename


def model_with(repository: Path, *files: str, name: str = "m") -> Path:
    directory = make_model(repository, name)
    for file in files:
        (directory / "1" / file).write_text("")
    return directory


@pytest.mark.parametrize("expected", BY_FILE, ids=lambda row: row[2])
def test_a_file_tells_backend_and_platform(tmp_path: Path, expected: Filled) -> None:
    assert filled(model_with(tmp_path, expected[2])) == expected


@pytest.mark.parametrize("first", range(len(BY_FILE) - 1), ids=lambda position: BY_FILE[position][2])
def test_of_several_files_the_first_in_triton_s_order_counts(tmp_path: Path, first: int) -> None:
    assert filled(model_with(tmp_path, *(row[2] for row in BY_FILE[first:]))) == BY_FILE[first]


def test_a_folder_counts_as_the_file(tmp_path: Path) -> None:
    directory = make_model(tmp_path, "m")
    (directory / "1" / "model.onnx").mkdir()
    assert filled(directory) == ONNX


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('platform: "tensorflow_savedmodel"', TENSORFLOW),
        ('platform: "tensorflow_graphdef"', GRAPHDEF),
        ('backend: "tensorflow" default_model_filename: "model.graphdef"', GRAPHDEF),
        ('backend: "tensorflow"', ("tensorflow", "", "")),
        ('platform: "tensorrt_plan"', TENSORRT),
        ('backend: "tensorrt"', TENSORRT),
        ('backend: "tensorrt" default_model_filename: "a.plan"', ("tensorrt", "tensorrt_plan", "a.plan")),
        ('platform: "onnxruntime_onnx"', ONNX),
        ('backend: "onnxruntime"', ONNX),
        (
            'platform: "onnxruntime_onnx" default_model_filename: "a.onnx"',
            ("onnxruntime", "onnxruntime_onnx", "a.onnx"),
        ),
        ('backend: "openvino"', OPENVINO),
        ('backend: "openvino" default_model_filename: "model.onnx"', ("openvino", "", "model.onnx")),
        ('platform: "pytorch_libtorch"', PYTORCH),
        ('platform: "libtorch"', PYTORCH),
        ('platform: "torch_aoti"', INDUCTOR),
        ('backend: "pytorch"', PYTORCH),
        ('backend: "pytorch" platform: "torch_aoti"', INDUCTOR),
        ('backend: "pytorch" default_model_filename: "model.pt2"', INDUCTOR),
        ('backend: "pytorch" default_model_filename: "net.pt"', ("pytorch", "pytorch_libtorch", "net.pt")),
        ('backend: "python"', PYTHON),
        ('backend: "python" default_model_filename: "main.py"', ("python", "", "main.py")),
        ('backend: "python" platform: "onnxruntime_onnx"', ("python", "onnxruntime_onnx", "model.py")),
        *((f'default_model_filename: "{row[2]}"', row) for row in BY_FILE),
    ],
)
def test_what_is_configured_tells_the_rest_without_files(tmp_path: Path, text: str, expected: Filled) -> None:
    assert filled(make_model(tmp_path, "m"), text) == expected
    assert filled(make_model(tmp_path, "without_versions", []), text) == expected


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        ('backend: "python"', ["model.onnx"], PYTHON),
        ('backend: "pytorch"', ["model.pt2"], INDUCTOR),
        ('backend: "tensorflow"', ["model.graphdef"], GRAPHDEF),
        # Files are not looked for once a platform or a file name is given.
        ('platform: "nonsense"', ["model.onnx"], ("", "nonsense", "")),
        ('default_model_filename: "weights.bin"', ["model.onnx"], ("", "", "weights.bin")),
        ('backend: "pytorch" platform: "pytorch_libtorch"', ["model.pt2"], PYTORCH),
        # A backend that is not known here keeps what it says.
        ('backend: "custom"', ["model.onnx"], ("custom", "", "")),
    ],
)
def test_what_is_configured_comes_before_files(tmp_path: Path, text: str, files: list[str], expected: Filled) -> None:
    assert filled(model_with(tmp_path, *files), text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("net.identity", ("identity", "", "model.identity")),
        ("a.b.c", ("b.c", "", "model.b.c")),
    ],
)
def test_the_last_resort_is_the_models_name(tmp_path: Path, name: str, expected: Filled) -> None:
    assert filled(make_model(tmp_path, name)) == expected


def test_a_model_that_nothing_tells_the_backend_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        filled(make_model(tmp_path, "mystery"))
    assert raised.value.message == (
        "Invalid model name: Could not determine backend for model 'mystery' with no backend in model configuration. "
        "Expected model name of the form 'model.<backend_name>'."
    )


@pytest.mark.parametrize("text", ['platform: "ensemble"', "ensemble_scheduling {}"])
def test_ensembles_have_no_file(tmp_path: Path, text: str) -> None:
    backend, _, filename = filled(model_with(tmp_path, "model.onnx"), text)
    assert (backend, filename) == ("", "")


def test_the_folder_names_the_model(tmp_path: Path) -> None:
    config = config_of('backend: "python"')
    autofill(config, make_model(tmp_path, "net"))
    assert config.name == "net"
    autofill(config, make_model(tmp_path, "other"))
    assert config.name == "net"

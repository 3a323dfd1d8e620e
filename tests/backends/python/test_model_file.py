"""Importing model.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.python.models import DOUBLE, instance_spec, write_model
from tritonpy.backends.errors import InternalError, UnsupportedError
from tritonpy.backends.python.backend import PythonBackend


def test_files_beside_the_model_can_be_imported_both_ways(tmp_path: Path) -> None:
    body = """
        from .near import NUMBER
        import near_model_file_test

        class TritonPythonModel:
            numbers = (NUMBER, near_model_file_test.NUMBER)
    """
    spec = write_model(tmp_path, body)
    (spec.version_directory / "near.py").write_text("NUMBER = 1\n")
    (spec.version_directory / "near_model_file_test.py").write_text("NUMBER = 2\n")
    model = PythonBackend().load(spec)
    assert model._model_class.numbers == (1, 2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", "AttributeError: module '1.model' has no attribute 'TritonPythonModel'"),
        (
            "import no_such_package",
            r"ModuleNotFoundError: No module named 'no_such_package'\n\nAt:\n  m/1/model.py\(4\)",
        ),
        ("raise SystemExit(4)", r"SystemExit: 4\n\nAt:\n  m/1/model.py\(4\)"),
        ("def broken(:", "SyntaxError: "),
    ],
)
def test_what_is_wrong_with_the_file_is_told(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(InternalError, match=message):
        PythonBackend().load(write_model(tmp_path, body))


def test_no_absolute_path_is_told(tmp_path: Path) -> None:
    spec = write_model(tmp_path, DOUBLE, default_model_filename="other.py")
    with pytest.raises(InternalError) as caught:
        PythonBackend().load(spec)
    assert caught.value.message == "Python model file not found in 'm/1/other.py'"
    spec = write_model(tmp_path, DOUBLE, "n", default_model_filename="model.txt")
    with pytest.raises(InternalError, match="Model name must end with '.py'. Model name is \"model.txt\""):
        PythonBackend().load(spec)


def test_initialize_gets_text_arguments(tmp_path: Path) -> None:
    body = """
        class TritonPythonModel:
            def initialize(self, args):
                self.args = args
    """
    spec = write_model(tmp_path, body)
    arguments = PythonBackend().load(spec).create_instance(instance_spec("m_0"))._model.args
    assert arguments == {
        "model_config": spec.config_json,
        "model_instance_kind": "CPU",
        "model_instance_name": "m_0",
        "model_instance_device_id": "0",
        "model_repository": str(tmp_path / "m"),
        "model_version": "1",
        "model_name": "m",
    }


def test_an_environment_is_refused_rather_than_ignored(tmp_path: Path) -> None:
    spec = write_model(tmp_path, DOUBLE, parameters={"EXECUTION_ENV_PATH": {"string_value": "/env.tar.gz"}})
    with pytest.raises(UnsupportedError, match="does not support yet"):
        PythonBackend().load(spec)
    with pytest.raises(UnsupportedError, match="does not support yet"):
        PythonBackend().complete(spec)

from __future__ import annotations

from pathlib import Path

import pytest

from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError, UnsupportedError
from tritonpy.backends.signature import ModelSignature, TensorSpec
from tritonpy.protos.datatypes import BY_CONFIG_NAME
from tritonpy.repository.labels import read_labels


def output(name: str, label_filename: str = "") -> TensorSpec:
    return TensorSpec(name, BY_CONFIG_NAME["TYPE_FP32"], (3,), label_filename=label_filename)


def read(directory: Path, *outputs: TensorSpec) -> dict[str, tuple[str, ...]]:
    return read_labels(ModelSignature(0, (), outputs), "m", directory)


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("apple\nbanana\n", ("apple", "banana")),
        ("apple\nbanana", ("apple", "banana")),
        ("apple\r\nbanana\r\n", ("apple", "banana")),
        ("apple\n\ncherry\n", ("apple", "", "cherry")),
        ("two words\n caf\u00e9 \u2028x\n", ("two words", " caf\u00e9 \u2028x")),
        ("\n", ("",)),
        ("", ()),
    ],
)
def test_each_line_is_a_label(tmp_path: Path, content: str, labels: tuple[str, ...]) -> None:
    (tmp_path / "labels.txt").write_bytes(content.encode())
    assert read(tmp_path, output("Y", "labels.txt"), output("Z")) == {"Y": labels}


def test_a_file_in_a_folder_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a\n")
    assert read(tmp_path, output("Y", "texts/../texts/a.txt")) == {"Y": ("a",)}


@pytest.mark.parametrize(
    ("filename", "kind", "message"),
    [
        ("missing.txt", InternalError, "failed to open text file for read m/missing.txt: No such file or directory"),
        (".", InternalError, "failed to open text file for read m/.: Is a directory"),
        ("latin.txt", InvalidArgumentError, "label file m/latin.txt is not UTF-8 text"),
        (
            "../secret",
            UnsupportedError,
            "label file path '../secret' for output 'Y' in model 'm' is outside model directory",
        ),
        (
            "/etc/passwd",
            UnsupportedError,
            "label file path '/etc/passwd' for output 'Y' in model 'm' is outside model directory",
        ),
        (
            "link",
            UnsupportedError,
            "label file path 'link' for output 'Y' in model 'm' is outside model directory",
        ),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, filename: str, kind: type[TritonpyError], message: str) -> None:
    directory = tmp_path / "m"
    directory.mkdir()
    (directory / "latin.txt").write_bytes(b"caf\xe9\n")
    (directory / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("secret\n")
    with pytest.raises(kind) as raised:
        read(directory, output("Y", filename))
    assert raised.value.message == message

"""Building models into a repository, with a recipe whose package lies ready."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from builder.errors import BuildError
from builder.packages import PackageCache, PackageFile
from builder.recipes import Recipe
from builder.repository import Repository

CONTENT = b"not really a network"
SOURCE = PackageFile("some-weights==1.0", "model.onnx", hashlib.sha256(CONTENT).hexdigest())
# Named after a model that has a folder with a configuration.
RECIPE = Recipe("ocr_detection", files={"1/model.onnx": SOURCE}, samples={"sample.bin": SOURCE})


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "packages/some-weights-1.0").mkdir(parents=True)
    (tmp_path / "packages/some-weights-1.0/model.onnx").write_bytes(CONTENT)
    return Repository(tmp_path / "models", tmp_path / "inputs", PackageCache(tmp_path / "packages"))


def test_builds_the_folder_with_configuration_weights_and_sample(repository: Repository) -> None:
    size_bytes = repository.build(RECIPE)
    model = repository.folder / "ocr_detection"
    assert (model / "config.pbtxt").is_file()
    assert (model / "1/model.onnx").read_bytes() == CONTENT
    assert (repository.samples / "sample.bin").read_bytes() == CONTENT
    assert size_bytes == len(CONTENT) + (model / "config.pbtxt").stat().st_size


def test_is_current_after_a_build_and_not_before(repository: Repository) -> None:
    assert not repository.is_current(RECIPE)
    repository.build(RECIPE)
    assert repository.is_current(RECIPE)


@pytest.mark.parametrize("lost", ["models/ocr_detection/1/model.onnx", "inputs/sample.bin"])
def test_is_not_current_when_a_file_is_lost(repository: Repository, lost: str) -> None:
    repository.build(RECIPE)
    (repository.folder.parent / lost).unlink()
    assert not repository.is_current(RECIPE)


def test_a_second_build_removes_what_does_not_belong(repository: Repository) -> None:
    repository.build(RECIPE)
    stray = repository.folder / "ocr_detection/2/model.onnx"
    stray.parent.mkdir()
    stray.write_bytes(b"stray")
    repository.build(RECIPE)
    assert not stray.exists()


def test_a_build_cut_short_is_not_current(repository: Repository) -> None:
    def fail(packages: PackageCache, model: Path, samples: Path) -> None:
        raise BuildError("cut short")

    repository.build(RECIPE)
    broken = dataclasses.replace(RECIPE, step=fail)
    with pytest.raises(BuildError, match="cut short"):
        repository.build(broken)
    assert not repository.is_current(RECIPE)

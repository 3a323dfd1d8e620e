from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository.configs import make_model
from tritonpy.backends.errors import InternalError, InvalidArgumentError
from tritonpy.repository import layout


@pytest.mark.parametrize(
    ("names", "versions"),
    [
        ([], []),
        (["1"], [1]),
        (["10", "9", "2"], [2, 9, 10]),
        (["0", "1"], [0, 1]),
        (["01", "00", "+1", "-1", "1.0", "3x", "x3", "", "v1", "\u0663"], []),
        (["configs", "initial_state", "warmup", "7"], [7]),
        (["9" * 18, "9" * 19], [int("9" * 18)]),
    ],
)
def test_versions_are_folders_named_by_a_plain_number(tmp_path: Path, names: list[str], versions: list[int]) -> None:
    assert layout.find_versions(make_model(tmp_path, "m", names)) == versions


def test_a_file_is_no_version(tmp_path: Path) -> None:
    directory = make_model(tmp_path, "m", ["1"])
    (directory / "2").write_text("")
    assert layout.find_versions(directory) == [1]


def test_every_folder_of_a_repository_is_a_model(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        make_model(tmp_path, name)
    (tmp_path / "notes.txt").write_text("")
    found = layout.find_models([tmp_path])
    assert found == {name: [tmp_path / name] for name in (".hidden", "a", "b")}
    assert list(found) == [".hidden", "a", "b"]


def test_models_of_several_repositories(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for repository, name in ((first, "one"), (first, "both"), (second, "two"), (second, "both")):
        make_model(repository, name)
    assert layout.find_models([first, second]) == {
        "both": [first / "both", second / "both"],
        "one": [first / "one"],
        "two": [second / "two"],
    }


def test_a_repository_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    make_model(repository, "m")
    (tmp_path / "link").symlink_to(repository)
    assert layout.find_models([repository, tmp_path / "link"]).keys() == {"m"}
    assert len(layout.find_models([repository, tmp_path / "link"])["m"]) == 1


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_repository_has_to_be_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgumentError, match="repository path is not a valid directory"):
        layout.check_repositories([tmp_path, tmp_path / name])
    layout.check_repositories([tmp_path])


def test_a_repository_that_vanished_is_named_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(InternalError) as raised:
        layout.find_models([tmp_path / "gone"])
    assert raised.value.message == "folder 'gone' cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("names", "first"),
    [
        ([], None),
        (["2", "10"], "10"),
        (["1", "abc"], "1"),
        (["abc"], "abc"),
        (["configs", "initial_state", "warmup"], None),
        (["configs", "z"], "z"),
    ],
)
def test_the_first_version_folder_is_the_first_in_text_order(
    tmp_path: Path, names: list[str], first: str | None
) -> None:
    found = layout.first_version_directory(make_model(tmp_path, "m", names))
    assert (found.name if found else None) == first

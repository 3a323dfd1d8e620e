"""What a manager loads at start-up, and when the server is ready."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.repository.configs import make_model
from tests.repository.fake_loader import Fixture, on_loop, refused
from tritonpy.backends.errors import (
    InternalError,
    InvalidArgumentError,
)

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
NOT_POLLED = "failed to load '{}', failed to poll from model repository".format


def test_at_start_every_model_is_loaded(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository, explicit=False)
        await fixture.manager.load_all()
        assert fixture.index == [("a", "1", READY, ""), ("b", "1", READY, ""), ("b", "2", READY, "")]
        assert [(model.name, model.version) for model in fixture.manager.served()] == [("a", 1), ("b", 1), ("b", 2)]
        assert (fixture.manager.failed_models(), fixture.manager.all_ready()) == ([], True)

    on_loop(test)


@pytest.mark.parametrize(
    ("load_models", "loaded"), [((), []), (("a",), ["a"]), (("a", "a"), ["a"]), (("*",), ["a", "b", "b"])]
)
def test_in_explicit_mode_the_named_models_are_loaded(
    repository: Path, load_models: tuple[str, ...], loaded: list[str]
) -> None:
    async def test() -> None:
        fixture = Fixture(repository, load_models=load_models)
        await fixture.manager.load_all()
        assert [name for name, _ in sorted(fixture.loader.started)] == loaded
        assert {name for name, *_ in fixture.index} == {"a", "b"}
        assert fixture.manager.all_ready()

    on_loop(test)


def test_a_model_that_was_not_loaded_has_its_name_in_the_index(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository, load_models=("a",))
        await fixture.manager.load_all()
        assert fixture.index == [("a", "1", READY, ""), ("b", "", "", "")]
        assert [entry.name for entry in fixture.manager.index(ready_only=True)] == ["a"]

    on_loop(test)


def test_a_start_up_model_that_does_not_exist_has_failed(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository, load_models=("a", "ghost"))
        await fixture.manager.load_all()
        assert fixture.manager.failed_models() == ["ghost"]
        assert not fixture.manager.all_ready()
        reason = "there is no folder of this name in the model repositories"
        assert ("ghost", "", UNAVAILABLE, reason) in fixture.index
        assert fixture.manager.is_ready("a")
        await fixture.manager.unload("ghost")
        assert fixture.manager.all_ready()

    on_loop(test)


def test_a_failure_does_not_stop_other_models(repository: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_model(repository, "c")
    make_model(repository, "empty", [])

    async def test() -> None:
        fixture = Fixture(repository, explicit=False)
        fixture.loader.plan_errors["a"] = InvalidArgumentError("a/config.pbtxt:1:1: wrong")
        fixture.loader.version_errors["c", 1] = InternalError("broken")
        await fixture.manager.load_all()
        assert fixture.manager.failed_models() == ["a", "c", "empty"]
        assert fixture.index == [
            ("a", "", UNAVAILABLE, "Invalid argument: a/config.pbtxt:1:1: wrong"),
            ("b", "1", READY, ""),
            ("b", "2", READY, ""),
            ("c", "1", UNAVAILABLE, "Internal: broken"),
            (
                "empty",
                "",
                UNAVAILABLE,
                "Invalid argument: at least one version must be available under the version policy of model 'empty'",
            ),
        ]

    with caplog.at_level(logging.ERROR):
        on_loop(test)
    assert "failed to load 'a': Invalid argument: a/config.pbtxt:1:1: wrong" in caplog.messages
    assert "failed to load 'c' version 1: Internal: broken" in caplog.messages


def test_errors_that_nobody_foresaw_are_told_without_paths(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository, explicit=False)
        fixture.loader.plan_errors["a"] = PermissionError(13, "Permission denied", "/secret/folder/config.pbtxt")
        fixture.loader.version_errors["b", 2] = ValueError("odd content of /secret/folder/model.bin")
        await fixture.manager.load_all()
        reasons = {(name, version): reason for name, version, _, reason in fixture.index}
        assert reasons["a", ""] == "Internal: PermissionError: [Errno 13] Permission denied: 'config.pbtxt'"
        assert reasons["b", "2"] == "Internal: ValueError: odd content of model.bin"

    on_loop(test)


def test_a_repository_has_to_be_a_folder(tmp_path: Path) -> None:
    async def test() -> None:
        error = await refused(Fixture(tmp_path / "missing").manager.load_all())
        assert isinstance(error, InvalidArgumentError)
        assert "repository path is not a valid directory" in error.message

    on_loop(test)


@pytest.mark.parametrize("strict", [True, False])
def test_strict_readiness_needs_every_model(repository: Path, strict: bool) -> None:
    async def test() -> None:
        fixture = Fixture(repository, strict_readiness=strict)
        fixture.loader.version_errors["a", 1] = InternalError("broken")
        await fixture.manager.load_all()
        assert fixture.manager.all_ready()
        await refused(fixture.manager.load("a"))
        assert fixture.manager.all_ready() is not strict
        await fixture.manager.unload("a")
        assert fixture.manager.all_ready()

    on_loop(test)


def test_a_name_in_two_repositories_is_served_from_neither(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_model(other, "a")
    make_model(other, "c")

    async def test() -> None:
        fixture = Fixture(repository, other)
        await fixture.manager.load_all()
        error = await refused(fixture.manager.load("a"))
        assert isinstance(error, InternalError)
        assert error.message == NOT_POLLED("a")
        assert fixture.index[0] == ("a", "", UNAVAILABLE, "model appears in two or more repositories")
        await fixture.manager.load("c")
        assert fixture.loader.started == [("c", 1)]

    on_loop(test)

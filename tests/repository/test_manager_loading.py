"""Loading and reloading, and what is served meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.repository.configs import make_model
from tests.repository.fake_loader import Answers, Fixture, on_loop, refused, request, until
from tritonpy.backends.errors import (
    InternalError,
    InvalidArgumentError,
    UnavailableError,
    UnsupportedError,
)

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
NOT_POLLED = "failed to load '{}', failed to poll from model repository".format


def test_what_clients_are_told_of_failed_loads(repository: Path) -> None:
    make_model(repository, "empty", [])

    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load_all()
        fixture.loader.plan_errors["a"] = InvalidArgumentError("wrong")
        fixture.loader.version_errors["b", 1] = InternalError("broken")
        fixture.loader.version_errors["b", 2] = InvalidArgumentError("odd")
        for name in ("a", "ghost"):
            error = await refused(fixture.manager.load(name))
            assert isinstance(error, InternalError)
            assert error.message == NOT_POLLED(name)
        error = await refused(fixture.manager.load("b"))
        assert isinstance(error, InvalidArgumentError)
        assert error.message == (
            "load failed for model 'b': version 1 is at UNAVAILABLE state: Internal: broken; "
            "version 2 is at UNAVAILABLE state: Invalid argument: odd;\n"
        )
        error = await refused(fixture.manager.load("empty"))
        assert isinstance(error, InvalidArgumentError)
        assert error.message == (
            "load failed for model 'empty': at least one version must be available under the version policy of model "
            "'empty'\n"
        )
        assert not any(name == "ghost" for name, *_ in fixture.index)

    on_loop(test)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Model name cannot be empty. Please enter a valid name to deploy."),
        (" \t", "Model name cannot be empty. Please enter a valid name to deploy."),
        ("..", "invalid model name '..', model name must not contain path traversal characters"),
        ("a/b", "invalid model name 'a/b', model name must not contain path traversal characters"),
    ],
)
def test_names_that_no_model_has(repository: Path, name: str, message: str) -> None:
    async def test() -> None:
        error = await refused(Fixture(repository).manager.load(name))
        assert isinstance(error, InvalidArgumentError)
        assert error.message == message

    on_loop(test)


def test_control_is_off_outside_explicit_mode(repository: Path) -> None:
    async def test() -> None:
        manager = Fixture(repository, explicit=False).manager
        for work in (manager.load("a"), manager.unload("a")):
            error = await refused(work)
            assert isinstance(error, UnavailableError)
            assert error.message == "explicit model load / unload is not allowed if polling is enabled"

    on_loop(test)


def test_overrides_are_refused(repository: Path) -> None:
    async def test() -> None:
        manager = Fixture(repository).manager
        for work in (manager.load("a", config="{}"), manager.load("a", files={"1/model.py": b""})):
            assert isinstance(await refused(work), UnsupportedError)

    on_loop(test)


def test_the_versions_of_a_load_become_ready_together(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load_all()
        fixture.loader.gate.clear()
        load = asyncio.create_task(fixture.manager.load("b"))
        await until(lambda: len(fixture.loader.started) == 2)
        assert fixture.index[1:] == [("b", "1", "LOADING", ""), ("b", "2", "LOADING", "")]
        assert not fixture.manager.is_ready("b")
        assert not fixture.manager.all_ready()
        fixture.loader.gate.set()
        await load
        assert fixture.manager.ready_versions("b") == [1, 2]

    on_loop(test)


def test_if_one_version_fails_none_is_served(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        fixture.loader.version_errors["b", 2] = InternalError("broken")
        await refused(fixture.manager.load("b"))
        assert fixture.index == [
            ("b", "1", UNAVAILABLE, "another version of this load failed"),
            ("b", "2", UNAVAILABLE, "Internal: broken"),
        ]
        assert fixture.executor("b", 1).stop_count == 1

    on_loop(test)


def test_a_failed_reload_keeps_what_is_served(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load("b")
        served = fixture.manager.find("b", 2)
        fixture.loader.version_errors["b", 2] = InternalError("broken")
        await refused(fixture.manager.load("b"))
        fixture.loader.plan_errors["b"] = InvalidArgumentError("wrong")
        await refused(fixture.manager.load("b"))
        assert fixture.manager.find("b", 2) is served
        assert fixture.index == [("b", "1", READY, ""), ("b", "2", READY, "")]
        assert fixture.manager.all_ready()
        assert [executor.stop_count for executor in fixture.loader.executors["b", 1]] == [0, 1]

    on_loop(test)


def test_a_reload_replaces_what_is_served_and_lets_it_finish(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load("a")
        old, answers = fixture.manager.find("a"), Answers()
        old.submit(request("a"), answers)
        await fixture.manager.load("a")
        assert fixture.manager.find("a") is not old
        old_executor, new_executor = fixture.loader.executors["a", 1]
        assert (old_executor.stop_count, answers.responses) == (0, [])
        old_executor.finish()
        await until(lambda: old_executor.stop_count == 1)
        assert len(answers.responses) == 1
        assert new_executor.stop_count == 0

    on_loop(test)


def test_a_reload_unloads_versions_that_are_gone(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load("b")
        (repository / "b" / "1").rmdir()
        await fixture.manager.load("b")
        await until(lambda: fixture.index == [("b", "1", UNAVAILABLE, "unloaded"), ("b", "2", READY, "")])
        assert fixture.manager.all_ready()

    on_loop(test)


def test_a_load_forgets_earlier_failures(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        fixture.loader.version_errors["b", 2] = InternalError("broken")
        await refused(fixture.manager.load("b"))
        fixture.loader.plan_errors["b"] = InvalidArgumentError("wrong")
        await refused(fixture.manager.load("b"))
        assert fixture.index == [("b", "", UNAVAILABLE, "Invalid argument: wrong")]
        fixture.loader.plan_errors.clear()
        (repository / "b" / "2").rmdir()
        await fixture.manager.load("b")
        assert fixture.index == [("b", "1", READY, "")]
        assert fixture.manager.all_ready()

    on_loop(test)


def test_loads_of_one_model_come_one_after_the_other(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        await asyncio.gather(*(fixture.manager.load("a") for _ in range(3)))
        assert fixture.loader.started == [("a", 1)] * 3
        assert fixture.loader.most_loading_count == 1
        assert fixture.manager.find("a") is fixture.loader.models["a", 1][-1]

    on_loop(test)


@pytest.mark.parametrize("thread_count", [1, 3])
def test_so_many_versions_load_at_a_time(tmp_path: Path, thread_count: int) -> None:
    for name in ("a", "b"):
        make_model(tmp_path, name, ["1", "2", "3", "4"])

    async def test() -> None:
        fixture = Fixture(tmp_path, explicit=False, thread_count=thread_count)
        await fixture.manager.load_all()
        assert len(fixture.loader.started) == 8
        assert fixture.loader.most_loading_count == thread_count

    on_loop(test)


def test_a_load_goes_on_if_its_caller_gives_up(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        fixture.loader.gate.clear()
        load = asyncio.create_task(fixture.manager.load("a"))
        await until(lambda: fixture.loader.loading_count == 1)
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        fixture.loader.gate.set()
        await until(lambda: fixture.manager.ready_versions("a") == [1])

    on_loop(test)

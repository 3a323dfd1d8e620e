"""Loading, unloading and what is served meanwhile, with a loader that does what the test says."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from tests.repository.configs import make_model
from tests.repository.fake_loader import Answers, Fixture, on_loop, request, until
from tritonpy.backends.errors import (
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    TritonpyError,
    UnavailableError,
    UnsupportedError,
)

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
NOT_POLLED = "failed to load '{}', failed to poll from model repository".format


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "models"
    make_model(directory, "a")
    make_model(directory, "b", ["1", "2"])
    return directory


async def refused(work: object) -> TritonpyError:
    assert asyncio.iscoroutine(work)
    with pytest.raises(TritonpyError) as raised:
        await work
    return raised.value


# Start-up.


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


# Loading.


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


# Unloading.


def test_unloading_waits_for_requests_in_flight(repository: Path) -> None:
    async def test() -> None:
        fixture, answers = Fixture(repository), Answers()
        await fixture.manager.load("a")
        model = fixture.manager.find("a")
        model.submit(request("a"), answers)
        await fixture.manager.unload("a")
        assert fixture.index == [("a", "1", "UNLOADING", "")]
        with pytest.raises(NotFoundError, match="has no available versions"):
            fixture.manager.find("a")
        with pytest.raises(UnavailableError, match="Server is stopping"):
            model.submit(request("a"), answers)
        await fixture.manager.unload("a")
        assert fixture.executor("a").stop_count == 0
        fixture.executor("a").finish()
        await until(lambda: fixture.index == [("a", "1", UNAVAILABLE, "unloaded")])
        assert len(answers.responses) == 1
        assert fixture.executor("a").stop_count == 1
        assert fixture.manager.all_ready()

    on_loop(test)


def test_a_model_can_be_loaded_while_its_old_version_unloads(repository: Path) -> None:
    async def test() -> None:
        fixture, answers = Fixture(repository), Answers()
        await fixture.manager.load("a")
        fixture.manager.find("a").submit(request("a"), answers)
        await fixture.manager.unload("a")
        await fixture.manager.load("a")
        old_executor = fixture.loader.executors["a", 1][0]
        old_executor.finish()
        await until(lambda: old_executor.stop_count == 1)
        assert fixture.index == [("a", "1", READY, "")]

    on_loop(test)


@pytest.mark.parametrize("name", ["a", "ghost", "", "../a"])
def test_unloading_what_is_not_loaded_is_no_error(repository: Path, name: str) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load_all()
        await fixture.manager.unload(name)
        assert fixture.manager.all_ready()

    on_loop(test)


def test_a_model_that_does_not_stop_properly_is_unloaded_all_the_same(
    repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise RuntimeError("stuck")

    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load("a")
        fixture.executor("a").stop = fail  # type: ignore[method-assign]
        await fixture.manager.unload("a")
        await until(lambda: fixture.index == [("a", "1", UNAVAILABLE, "unloaded")])

    on_loop(test)
    assert "model 'a' version 1 did not stop properly" in caplog.messages


# The end.


def test_stop_waits_for_requests_and_frees_everything(repository: Path) -> None:
    async def test() -> None:
        fixture, answers = Fixture(repository, explicit=False), Answers()
        await fixture.manager.load_all()
        fixture.manager.find("a").submit(request("a"), answers)
        stop = asyncio.create_task(fixture.manager.stop())
        await until(lambda: fixture.executor("b", 2).stop_count == 1)
        assert not stop.done()
        fixture.executor("a").finish()
        await stop
        assert len(answers.responses) == 1
        assert [executor.stop_count for made in fixture.loader.executors.values() for executor in made] == [1, 1, 1]

    on_loop(test)


def test_stop_gives_up_loads_in_progress(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository, thread_count=1)
        fixture.loader.gate.clear()
        loads = [asyncio.create_task(fixture.manager.load(name)) for name in ("a", "b")]
        await until(lambda: fixture.loader.loading_count == 1)
        await fixture.manager.stop()
        outcomes = await asyncio.gather(*loads, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert fixture.loader.loading_count == 0
        assert fixture.manager.served() == []
        error = await refused(fixture.manager.load("a"))
        assert isinstance(error, UnavailableError)

    on_loop(test)


def test_stop_frees_the_versions_of_a_load_that_it_gives_up(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository, thread_count=1)
        load = asyncio.create_task(fixture.manager.load("b"))
        await until(lambda: ("b", 1) in fixture.loader.executors)
        fixture.loader.gate.clear()
        await until(lambda: ("b", 2) in fixture.loader.started)
        await fixture.manager.stop()
        await asyncio.gather(load, return_exceptions=True)
        assert fixture.executor("b", 1).stop_count == 1

    on_loop(test)


# Questions.


def test_find(repository: Path) -> None:
    make_model(repository, "broken", ["3"])

    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load("b")
        fixture.loader.version_errors["broken", 3] = InternalError("broken")
        await refused(fixture.manager.load("broken"))
        fixture.loader.plan_errors["a"] = InvalidArgumentError("wrong")
        await refused(fixture.manager.load("a"))
        find = fixture.manager.find
        assert (find("b").version, find("b", 1).version, find("b", 2).version) == (2, 1, 2)
        unknown = "Request for unknown model: "
        for name, version, kind, message in (
            ("ghost", -1, NotFoundError, f"{unknown}'ghost' is not found"),
            ("ghost", 1, NotFoundError, f"{unknown}'ghost' is not found"),
            ("a", -1, NotFoundError, f"{unknown}'a' is not found"),
            ("b", 9, NotFoundError, f"{unknown}'b' version 9 is not found"),
            ("broken", -1, NotFoundError, f"{unknown}'broken' has no available versions"),
            ("broken", 3, UnavailableError, f"{unknown}'broken' version 3 is not at ready state"),
            ("broken", 4, NotFoundError, f"{unknown}'broken' version 4 is not found"),
        ):
            with pytest.raises(kind) as raised:
                find(name, version)
            assert raised.value.message == message

    on_loop(test)


def test_is_ready(repository: Path) -> None:
    async def test() -> None:
        fixture = Fixture(repository)
        await fixture.manager.load("b")
        fixture.loader.version_errors["a", 1] = InternalError("broken")
        await refused(fixture.manager.load("a"))
        is_ready = fixture.manager.is_ready
        assert [is_ready("b"), is_ready("b", 1), is_ready("a"), is_ready("a", 1)] == [True, True, False, False]
        for name, version in (("ghost", -1), ("ghost", 1), ("b", 9)):
            with pytest.raises(NotFoundError):
                is_ready(name, version)
        assert fixture.manager.ready_versions("ghost") == []

    on_loop(test)

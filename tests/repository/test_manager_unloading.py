"""Unloading, and the end of a manager."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.repository.fake_loader import Answers, Fixture, on_loop, refused, request, until
from tritonpy.backends.errors import (
    NotFoundError,
    UnavailableError,
)

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
NOT_POLLED = "failed to load '{}', failed to poll from model repository".format


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
        fixture.loader.gate.clear()
        fixture.loader.free.add(("b", 1))
        load = asyncio.create_task(fixture.manager.load("b"))
        await until(lambda: ("b", 2) in fixture.loader.started)
        await fixture.manager.stop()
        await asyncio.gather(load, return_exceptions=True)
        assert fixture.executor("b", 1).stop_count == 1
        assert ("b", 2) not in fixture.loader.executors

    on_loop(test)

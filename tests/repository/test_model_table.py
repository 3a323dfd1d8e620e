"""The questions that front ends ask of models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository.configs import make_model
from tests.repository.fake_loader import Fixture, on_loop, refused
from tritonpy.backends.errors import (
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
NOT_POLLED = "failed to load '{}', failed to poll from model repository".format


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

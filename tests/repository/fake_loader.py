"""A loader that does what the test says, with models whose instances do nothing by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from tests.repository.configs import config_of
from tests.scheduler.fake_executor import FakeExecutor, FakeTime
from tritonpy.backends.errors import TritonpyError
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.signature import ModelSignature
from tritonpy.repository.layout import find_versions
from tritonpy.repository.manager import ModelManager
from tritonpy.repository.model_loader import ModelPlan
from tritonpy.repository.options import ControlMode, RepositoryOptions
from tritonpy.repository.states import IndexEntry
from tritonpy.scheduler.served_model import ServedModel

TIME_LIMIT_S = 20


class FakeLoader:
    """Loads every version that has a folder.

    `plan_errors` fail the plan of a model, `version_errors` the load of a version; loads wait while `gate` is
    closed, except for those in `free`. `models` and `executors` are all that were made, by (name, version), the
    newest last.
    """

    def __init__(self) -> None:
        self.plan_errors: dict[str, Exception] = {}
        self.version_errors: dict[tuple[str, int], Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.free: set[tuple[str, int]] = set()
        self.executors: dict[tuple[str, int], list[FakeExecutor]] = {}
        self.models: dict[tuple[str, int], list[ServedModel]] = {}
        self.started: list[tuple[str, int]] = []
        self.loading_count = 0
        self.most_loading_count = 0

    def plan(self, directory: Path) -> ModelPlan:
        if directory.name in self.plan_errors:
            raise self.plan_errors[directory.name]
        config = config_of(f'name: "{directory.name}" backend: "python"')
        return ModelPlan(directory, config, tuple(find_versions(directory)))

    async def load_version(self, plan: ModelPlan, version: int) -> ServedModel:
        key = (plan.config.name, version)
        self.started.append(key)
        self.loading_count += 1
        self.most_loading_count = max(self.most_loading_count, self.loading_count)
        try:
            if key not in self.free:
                await self.gate.wait()
            await asyncio.sleep(0)
            if key in self.version_errors:
                raise self.version_errors[key]
        finally:
            self.loading_count -= 1
        executor = FakeExecutor(FakeTime())
        model = ServedModel(version, plan.config, b"{}", ModelSignature(0, (), ()), [executor])
        self.executors.setdefault(key, []).append(executor)
        self.models.setdefault(key, []).append(model)
        return model


class Fixture:
    """A manager over a fake loader."""

    def __init__(
        self,
        *repositories: Path,
        explicit: bool = True,
        load_models: tuple[str, ...] = (),
        strict_readiness: bool = True,
        thread_count: int = 4,
    ) -> None:
        mode = ControlMode.EXPLICIT if explicit else ControlMode.NONE
        options = RepositoryOptions(
            repositories,
            mode,
            load_models,
            strict_readiness=strict_readiness,
            model_load_thread_count=thread_count,
        )
        self.loader = FakeLoader()
        self.manager = ModelManager(options, self.loader)

    @property
    def index(self) -> list[tuple[str, str, str, str]]:
        return [row(entry) for entry in self.manager.index()]

    def executor(self, name: str, version: int = 1) -> FakeExecutor:
        """The newest instance of a model version."""
        return self.loader.executors[name, version][-1]


def row(entry: IndexEntry) -> tuple[str, str, str, str]:
    return entry.name, entry.version, entry.state, entry.reason


def request(name: str) -> InferenceRequest:
    return InferenceRequest(name, {})


class Answers:
    """Takes responses."""

    def __init__(self) -> None:
        self.responses: list[InferenceResponse] = []

    def __call__(self, response: InferenceResponse) -> None:
        self.responses.append(response)


def on_loop(test: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a test on an event loop; one that hangs fails."""
    asyncio.run(asyncio.wait_for(test(), TIME_LIMIT_S))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks or threads do."""
    while not condition():  # noqa: ASYNC110 - there is no event for all that a test may wait for
        await asyncio.sleep(0.001)


async def refused(work: Coroutine[None, None, None]) -> TritonpyError:
    """The error that `work` raises."""
    with pytest.raises(TritonpyError) as raised:
        await work
    return raised.value

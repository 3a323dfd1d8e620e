"""A backend of which tests say what it finds out and how its instances start; and loaders that use it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.repository.fake_loader import on_loop
from tests.scheduler.fake_executor import FakeExecutor, FakeTime
from tritonpy.backends.contract import Completion, InstanceSpec, ModelSpec
from tritonpy.repository.model_loader import ModelLoader, ModelPlan
from tritonpy.repository.options import RepositoryOptions
from tritonpy.scheduler.served_model import ServedModel


class Instance(FakeExecutor):
    """An executor whose start fails, or waits, if the test wants it to."""

    def __init__(self, instance: InstanceSpec, error: Exception | None, gate: asyncio.Event | None) -> None:
        super().__init__(FakeTime(), instance.name)
        self._error = error
        self._gate = gate
        self.is_started = False

    async def start(self) -> None:
        if self._gate is not None:
            await self._gate.wait()
        if self._error is not None:
            raise self._error
        self.is_started = True


@dataclass
class Backend:
    """What the fake backend does, and what it was told."""

    completion: Completion | None = None
    start_errors: dict[str, Exception] = field(default_factory=dict)
    start_gates: dict[str, asyncio.Event] = field(default_factory=dict)
    specs: list[ModelSpec] = field(default_factory=list)
    completed: list[ModelSpec] = field(default_factory=list)
    executors: list[Instance] = field(default_factory=list)

    def create_executors(self, spec: ModelSpec, instances: Sequence[InstanceSpec], _: object) -> list[Instance]:
        self.specs.append(spec)
        self.executors = [
            Instance(instance, self.start_errors.get(instance.name), self.start_gates.get(instance.name))
            for instance in instances
        ]
        return self.executors

    async def complete(self, spec: ModelSpec, _: object) -> Completion | None:
        self.completed.append(spec)
        return self.completion


def make_loader(auto_complete: bool = True, backend_config: dict[str, dict[str, str]] | None = None) -> ModelLoader:
    options = RepositoryOptions((), auto_complete=auto_complete, backend_config=backend_config or {})
    return ModelLoader(options, asyncio.get_running_loop())


def plan_of(directory: Path, auto_complete: bool = True) -> ModelPlan:
    plans: list[ModelPlan] = []

    async def plan() -> None:
        plans.append(make_loader(auto_complete).plan(directory))

    on_loop(plan)
    return plans[0]


def load(directory: Path, auto_complete: bool = True) -> ServedModel:
    """Plan and load the first version."""
    models: list[ServedModel] = []

    async def load_first() -> None:
        loader = make_loader(auto_complete)
        plan = loader.plan(directory)
        models.append(await loader.load_version(plan, plan.versions[0]))

    on_loop(load_first)
    return models[0]

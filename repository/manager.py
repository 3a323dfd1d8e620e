"""The model manager: knows every model version and its state, loads and unloads, and finds the one to ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tritonpy.backends.errors import (
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    TritonpyError,
    UnavailableError,
    UnsupportedError,
)
from tritonpy.repository import layout
from tritonpy.repository.model_loader import ModelLoader, ModelPlan
from tritonpy.repository.options import ControlMode, RepositoryOptions
from tritonpy.repository.states import UNLOADED_REASON, IndexEntry, ModelState
from tritonpy.scheduler.served_model import ServedModel

ALL_MODELS = "*"
AMBIGUOUS_REASON = "model appears in two or more repositories"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class VersionRecord:
    """One version of a model: its state, why it is not ready, and the model while it can be asked."""

    state: ModelState
    reason: str = ""
    model: ServedModel | None = None


@dataclass(slots=True)
class ModelRecord:
    """All that is known of a model. `reason` says why it could not even be planned ("" otherwise)."""

    versions: dict[int, VersionRecord] = field(default_factory=dict)
    reason: str = ""

    def ready(self) -> dict[int, ServedModel]:
        """The versions that can be asked."""
        return {
            number: record.model
            for number, record in sorted(self.versions.items())
            if record.state is ModelState.READY and record.model is not None
        }


class ModelManager:
    """The models of all repositories. Everything but file-system work happens on the event loop."""

    def __init__(self, options: RepositoryOptions, loader: ModelLoader | None = None) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._loader = loader or ModelLoader(options, self._loop)
        self._files = ThreadPoolExecutor(options.model_load_thread_count, thread_name_prefix="model-files")
        self._load_slots = asyncio.Semaphore(options.model_load_thread_count)
        self._locks: dict[str, asyncio.Lock] = {}
        self._models: dict[str, ModelRecord] = {}
        self._unloading: set[asyncio.Task[None]] = set()

    # Loading.

    async def load_all(self) -> None:
        """Load what is to be loaded at start-up. A model that fails is recorded with its reason, and nobody else
        notices. Raises InvalidArgumentError only if a repository is no folder."""
        layout.check_repositories(self._options.repositories)
        found = await self._find_models()
        await asyncio.gather(*(self._load_at_start(name, found.get(name, [])) for name in self._start_up_names(found)))

    def _start_up_names(self, found: dict[str, list[Path]]) -> Iterable[str]:
        for name in found:
            self._models.setdefault(name, ModelRecord())
        if self._options.control_mode is ControlMode.NONE or self._options.load_models == (ALL_MODELS,):
            return found
        return self._options.load_models

    async def _load_at_start(self, name: str, directories: list[Path]) -> None:
        try:
            await self._load(name, directories)
        except TritonpyError as error:
            logger.error("failed to load '%s': %s", name, error.message.strip())

    async def load(self, name: str, config: str | None = None, files: dict[str, bytes] | None = None) -> None:
        """Load or reload a model; returns when all its versions are ready.

        Versions that were ready stay so if it fails. Raises UnavailableError outside mode EXPLICIT, InternalError if
        there is no such model or its configuration is wrong, InvalidArgumentError with the reasons if a version
        fails to load.
        """
        self._check_explicit()
        _check_name(name)
        if config is not None or files:
            raise UnsupportedError("this server does not support the load parameters 'config' and 'file:' yet")
        found = await self._find_models()
        await self._load(name, found.get(name, []))

    async def _load(self, name: str, directories: list[Path]) -> None:
        async with self._locks.setdefault(name, asyncio.Lock()), self._load_slots:
            plan = await self._plan(name, directories)
            await self._load_versions(name, plan)

    async def _plan(self, name: str, directories: list[Path]) -> ModelPlan:
        """The plan of a model. What is wrong with its configuration is kept as its reason, for the index, and the
        error that clients get does not tell it, as in Triton."""
        record = self._models.get(name)
        poll_failure = InternalError(f"failed to load '{name}', failed to poll from model repository")
        if not directories:
            raise poll_failure
        record = self._models.setdefault(name, ModelRecord())
        if len(directories) > 1:
            record.reason = AMBIGUOUS_REASON
            raise poll_failure
        try:
            plan = await self._loop.run_in_executor(self._files, self._loader.plan, directories[0])
        except TritonpyError as error:
            record.reason = f"{error.kind.phrase}: {error.message}"
            logger.error("Poll failed for model '%s': %s", name, error.message)
            raise poll_failure from error
        record.reason = ""
        return plan

    async def _load_versions(self, name: str, plan: ModelPlan) -> None:
        """Load all versions of a plan; they become ready together, and replace what was served, or not at all."""
        record = self._models[name]
        for version in plan.versions:
            if version not in record.ready():
                record.versions[version] = VersionRecord(ModelState.LOADING)
        outcomes = await asyncio.gather(
            *(self._loader.load_version(plan, version) for version in plan.versions), return_exceptions=True
        )
        loaded = [outcome for outcome in outcomes if isinstance(outcome, ServedModel)]
        failed = {
            version: _as_error(outcome)
            for version, outcome in zip(plan.versions, outcomes, strict=True)
            if isinstance(outcome, BaseException)
        }
        if failed:
            await asyncio.gather(*(model.stop() for model in loaded))
            self._record_failures(name, plan, failed)
        else:
            self._publish(name, loaded)

    def _record_failures(self, name: str, plan: ModelPlan, failed: dict[int, TritonpyError]) -> None:
        record = self._models[name]
        reasons = {version: f"{error.kind.phrase}: {error.message}" for version, error in failed.items()}
        for version in plan.versions:
            if version not in record.ready():
                reason = reasons.get(version, "another version of this load failed")
                record.versions[version] = VersionRecord(ModelState.UNAVAILABLE, reason)
        told = " ".join(f"version {version} is at UNAVAILABLE state: {reason};" for version, reason in reasons.items())
        raise InvalidArgumentError(f"load failed for model '{name}': {told}\n")

    def _publish(self, name: str, loaded: list[ServedModel]) -> None:
        record = self._models[name]
        replaced = record.ready()
        for model in loaded:
            record.versions[model.version] = VersionRecord(ModelState.READY, model=model)
            logger.info("successfully loaded '%s' version %d in %.2f s", name, model.version, model.load_duration_s)
        new_versions = {model.version for model in loaded}
        for version, old in replaced.items():
            if version in new_versions:
                self._stop_later(old)
            else:
                self._unload_version(record.versions[version])

    # Unloading.

    async def unload(self, name: str, unload_dependents: bool = False) -> None:
        """Stop serving a model; its requests in flight are still answered. An unknown model is no error.

        Returns before the requests have ended. Raises UnavailableError outside mode EXPLICIT.
        """
        self._check_explicit()
        async with self._locks.setdefault(name, asyncio.Lock()):
            record = self._models.get(name)
            if record is None:
                return
            for version in record.versions.values():
                self._unload_version(version)

    def _unload_version(self, record: VersionRecord) -> None:
        model, record.model = record.model, None
        if model is None:
            record.state, record.reason = ModelState.UNAVAILABLE, UNLOADED_REASON
            return
        record.state = ModelState.UNLOADING

        def on_stopped(_: object) -> None:
            if record.state is ModelState.UNLOADING:
                record.state, record.reason = ModelState.UNAVAILABLE, UNLOADED_REASON

        self._stop_later(model).add_done_callback(on_stopped)

    def _stop_later(self, model: ServedModel) -> asyncio.Task[None]:
        model.refuse_new_requests()
        task = self._loop.create_task(model.stop())
        self._unloading.add(task)
        task.add_done_callback(self._unloading.discard)
        return task

    async def stop(self) -> None:
        """Unload everything, once all requests in flight have ended."""
        for record in self._models.values():
            for version in record.versions.values():
                if version.model is not None:
                    self._unload_version(version)
        while self._unloading:
            await asyncio.gather(*self._unloading)
        self._files.shutdown(wait=False)

    # Questions.

    def find(self, name: str, version: int = -1) -> ServedModel:
        """The model version to ask, the highest ready one for -1; raises NotFoundError or UnavailableError."""
        record = self._known(name)
        if version < 0:
            ready = record.ready()
            if not ready:
                raise NotFoundError(f"Request for unknown model: '{name}' has no available versions")
            return ready[max(ready)]
        found = record.versions.get(version)
        if found is None:
            raise NotFoundError(f"Request for unknown model: '{name}' version {version} is not found")
        if found.model is None:
            raise UnavailableError(f"Request for unknown model: '{name}' version {version} is not at ready state")
        return found.model

    def ready_versions(self, name: str) -> list[int]:
        """The versions of a model that can be asked, ascending."""
        record = self._models.get(name)
        return list(record.ready()) if record else []

    def is_ready(self, name: str, version: int = -1) -> bool:
        """Whether a model version can be asked, any of the model for -1; raises NotFoundError if there is no such
        model or version."""
        if version < 0:
            return bool(self._known(name).ready())
        try:
            self.find(name, version)
        except UnavailableError:
            return False
        return True

    def _known(self, name: str) -> ModelRecord:
        """The record of a model that has or had versions; one whose configuration is wrong is as unknown to clients as
        one that is not there, as in Triton."""
        record = self._models.get(name)
        if record is None or not record.versions:
            raise NotFoundError(f"Request for unknown model: '{name}' is not found")
        return record

    def all_ready(self) -> bool:
        """Whether the server is ready: with strict readiness every model that was ever to be loaded is, except those
        unloaded on purpose."""
        if not self._options.strict_readiness:
            return True
        return all(
            not record.reason
            and all(
                version.state is ModelState.READY or version.reason == UNLOADED_REASON
                for version in record.versions.values()
            )
            for record in self._models.values()
        )

    def failed_models(self) -> list[str]:
        """The models that could not be loaded."""
        return [
            name
            for name, record in self._models.items()
            if record.reason or any(version.state is not ModelState.READY for version in record.versions.values())
        ]

    def served(self) -> list[ServedModel]:
        """Every model version that can be asked, by name and version."""
        return [model for _, record in sorted(self._models.items()) for model in record.ready().values()]

    def index(self, ready_only: bool = False) -> list[IndexEntry]:
        """Every known version with its state. A model whose configuration is wrong has one entry with the reason,
        where Triton tells only its name."""
        entries = [entry for name, record in sorted(self._models.items()) for entry in _entries(name, record)]
        return [entry for entry in entries if not ready_only or entry.state == ModelState.READY.value]

    # Helpers.

    async def _find_models(self) -> dict[str, list[Path]]:
        return await self._loop.run_in_executor(self._files, layout.find_models, self._options.repositories)

    def _check_explicit(self) -> None:
        if self._options.control_mode is not ControlMode.EXPLICIT:
            raise UnavailableError("explicit model load / unload is not allowed if polling is enabled")


def _entries(name: str, record: ModelRecord) -> list[IndexEntry]:
    if record.reason:
        return [IndexEntry(name, state=ModelState.UNAVAILABLE.value, reason=record.reason)]
    if not record.versions:
        return [IndexEntry(name)]
    return [
        IndexEntry(name, str(number), version.state.value, version.reason)
        for number, version in sorted(record.versions.items())
    ]


def _as_error(outcome: BaseException) -> TritonpyError:
    if isinstance(outcome, TritonpyError):
        return outcome
    logger.error("a model could not be loaded", exc_info=outcome)
    return InternalError(f"{type(outcome).__name__}: {outcome}")


def _check_name(name: str) -> None:
    if not name.strip():
        raise InvalidArgumentError("Model name cannot be empty. Please enter a valid name to deploy.")
    if ".." in name or "/" in name:
        raise InvalidArgumentError(
            f"invalid model name '{name}', model name must not contain path traversal characters"
        )

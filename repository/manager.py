"""The model manager: loads and unloads models, and keeps the table of what can be asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from tritonpy.backends.errors import InvalidArgumentError, TritonpyError, UnavailableError, UnsupportedError
from tritonpy.backends.thread_executor import load_error
from tritonpy.repository import layout, load_errors
from tritonpy.repository.model_loader import ModelLoader, ModelPlan
from tritonpy.repository.model_table import ModelRecord, ModelTable, VersionRecord
from tritonpy.repository.options import ControlMode, RepositoryOptions
from tritonpy.repository.states import UNLOADED_REASON, ModelState
from tritonpy.scheduler.served_model import ServedModel

ALL_MODELS = "*"

logger = logging.getLogger(__name__)


class Loader(Protocol):
    """What loads the models of a manager; `ModelLoader` is the real one."""

    def plan(self, directory: Path) -> ModelPlan:
        """What the folder of a model asks for; called on a thread. Raises TritonpyError if its configuration is
        wrong."""

    async def load_version(self, plan: ModelPlan, version: int) -> ServedModel:
        """One version, ready to be asked. Raises TritonpyError if that fails."""


class ModelManager(ModelTable):
    """The models of all repositories. Everything but file-system work happens on the event loop."""

    def __init__(self, options: RepositoryOptions, loader: Loader | None = None) -> None:
        super().__init__(options.strict_readiness)
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._loader: Loader = loader or ModelLoader(options, self._loop)
        self._files = ThreadPoolExecutor(options.model_load_thread_count, thread_name_prefix="model-files")
        self._load_slots = asyncio.Semaphore(options.model_load_thread_count)
        self._locks: dict[str, asyncio.Lock] = {}
        self._loading: set[asyncio.Task[None]] = set()
        self._unloading: set[asyncio.Task[None]] = set()
        self._stopping = False

    # Start-up.

    async def load_all(self) -> None:
        """Load what is to be loaded at start-up. A model that fails is recorded with its reason, and nobody else
        notices. Raises InvalidArgumentError only if a repository is no folder that can be read."""
        layout.check_repositories(self._options.repositories)
        found = await self._find_models()
        for name in found:
            self._models.setdefault(name, ModelRecord())
        await asyncio.gather(*(self._load_at_start(name, found.get(name, ())) for name in self._start_up_names(found)))

    def _start_up_names(self, found: Iterable[str]) -> Iterable[str]:
        if self._options.control_mode is ControlMode.NONE or self._options.load_models == (ALL_MODELS,):
            return found
        return dict.fromkeys(self._options.load_models)

    async def _load_at_start(self, name: str, directories: Sequence[Path]) -> None:
        if not directories:
            logger.error("failed to load '%s': %s", name, load_errors.MISSING_REASON)
            self._models[name] = ModelRecord(reason=load_errors.MISSING_REASON)
            return
        try:
            await self._begin(self._load(name, directories))
        except TritonpyError:
            pass  # logged and recorded where it arose

    # Loading.

    async def load(self, name: str, config: str | None = None, files: dict[str, bytes] | None = None) -> None:
        """Load or reload a model; returns when all its versions are ready. A load goes on if its caller gives up.

        Versions that were ready stay so if it fails. Raises UnavailableError outside mode EXPLICIT, InternalError if
        there is no such model or its configuration is wrong, InvalidArgumentError with the reasons if a version
        fails to load.
        """
        self._check_explicit()
        self._refuse_while_stopping()
        load_errors.check_name(name)
        if config is not None or files:
            raise UnsupportedError("this server does not support the load parameters 'config' and 'file:' yet")
        directories = (await self._find_models()).get(name)
        if not directories:
            raise load_errors.poll_failure(name)
        await self._begin(self._load(name, directories))

    async def _begin(self, work: Coroutine[None, None, None]) -> None:
        """Do `work` in a task that `stop` knows, and that outlives whoever waits for it."""
        task = self._loop.create_task(work)
        self._loading.add(task)
        task.add_done_callback(self._forget_load)
        await asyncio.shield(task)

    def _forget_load(self, task: asyncio.Task[None]) -> None:
        self._loading.discard(task)
        if not task.cancelled():
            task.exception()  # logged already; asyncio complains about one that nobody asked for

    async def _load(self, name: str, directories: Sequence[Path]) -> None:
        async with self._locks.setdefault(name, asyncio.Lock()):
            self._refuse_while_stopping()
            record = self._models.setdefault(name, ModelRecord())
            plan = await self._plan(name, record, directories)
            record.reason = ""
            loaded = await self._load_versions(name, record, plan)
            self._publish(name, record, loaded)

    async def _plan(self, name: str, record: ModelRecord, directories: Sequence[Path]) -> ModelPlan:
        """The plan of a model. What is wrong with its configuration is told to the index and the log; clients get a
        text that does not tell it, as in Triton."""
        if len(directories) > 1:
            raise self._refused(name, record, load_errors.AMBIGUOUS_REASON)
        try:
            plan = await self._loop.run_in_executor(self._files, self._loader.plan, directories[0])
        except Exception as error:
            raise self._refused(name, record, load_errors.reason(_as_known_error(name, error))) from error
        if not plan.versions:
            problem = f"at least one version must be available under the version policy of model '{name}'"
            self._refused(name, record, load_errors.reason(InvalidArgumentError(problem)))
            raise load_errors.load_failure(name, problem)
        return plan

    def _refused(self, name: str, record: ModelRecord, reason: str) -> TritonpyError:
        """Note that a model cannot be loaded; returns what clients are told."""
        logger.error("failed to load '%s': %s", name, reason)
        record.note_failure(reason)
        return load_errors.poll_failure(name)

    async def _load_versions(self, name: str, record: ModelRecord, plan: ModelPlan) -> list[ServedModel]:
        """All versions of a plan; if one fails, those that were loaded are stopped, and InvalidArgumentError tells
        the reasons."""
        for version in plan.versions:
            if version not in record.ready():
                record.versions[version] = VersionRecord(ModelState.LOADING)
        tasks = [self._loop.create_task(self._load_version(plan, version)) for version in plan.versions]
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            await _drop(tasks)
            raise
        errors = {version: task.exception() for version, task in zip(plan.versions, tasks, strict=True)}
        failed = {
            version: load_errors.reason(_as_known_error(name, error)) for version, error in errors.items() if error
        }
        if failed:
            await _drop(tasks)
            for version, reason in failed.items():
                logger.error("failed to load '%s' version %d: %s", name, version, reason)
            record.note_failed_versions(plan.versions, failed)
            raise load_errors.versions_failure(name, failed)
        return [task.result() for task in tasks]

    async def _load_version(self, plan: ModelPlan, version: int) -> ServedModel:
        async with self._load_slots:
            return await self._loader.load_version(plan, version)

    def _publish(self, name: str, record: ModelRecord, loaded: Sequence[ServedModel]) -> None:
        """Let these versions be asked, in place of all others."""
        replaced = record.ready()
        new_versions = {model.version for model in loaded}
        for version, old in replaced.items():
            if version in new_versions:
                self._stop_later(old)
            else:
                self._unload_version(record.versions[version])
        for version in [number for number, other in record.versions.items() if other.has_failed]:
            del record.versions[version]
        for model in loaded:
            record.versions[model.version] = VersionRecord(ModelState.READY, model=model)
            logger.info("successfully loaded '%s' version %d in %.2f s", name, model.version, model.load_duration_s)

    # Unloading.

    async def unload(self, name: str, unload_dependents: bool = False) -> None:
        """Stop serving a model; its requests in flight are still answered. An unknown model is no error.

        Returns before the requests have ended. Raises UnavailableError outside mode EXPLICIT. `unload_dependents`
        concerns ensembles, which this server does not have yet: no other model is loaded for a model's sake.
        """
        self._check_explicit()
        if name not in self._models:
            return
        async with self._locks.setdefault(name, asyncio.Lock()):
            record = self._models[name]
            record.reason = ""
            for version in record.versions.values():
                self._unload_version(version)

    def _unload_version(self, record: VersionRecord) -> None:
        model, record.model = record.model, None
        if model is None:
            if record.state is not ModelState.UNLOADING:
                record.state, record.reason = ModelState.UNAVAILABLE, UNLOADED_REASON
            return
        record.state = ModelState.UNLOADING

        def on_stopped(_: object) -> None:
            record.state, record.reason = ModelState.UNAVAILABLE, UNLOADED_REASON

        self._stop_later(model).add_done_callback(on_stopped)

    def _stop_later(self, model: ServedModel) -> asyncio.Task[None]:
        model.refuse_new_requests()
        task = self._loop.create_task(_stop(model))
        self._unloading.add(task)
        task.add_done_callback(self._unloading.discard)
        return task

    async def stop(self) -> None:
        """Give up loads in progress, and unload everything once all requests in flight have ended."""
        self._stopping = True
        loading = list(self._loading)
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
        for record in self._models.values():
            for version in record.versions.values():
                self._unload_version(version)
        while self._unloading:
            await asyncio.gather(*self._unloading)
        self._files.shutdown(wait=False)

    # Helpers.

    async def _find_models(self) -> dict[str, list[Path]]:
        return await self._loop.run_in_executor(self._files, layout.find_models, self._options.repositories)

    def _check_explicit(self) -> None:
        if self._options.control_mode is not ControlMode.EXPLICIT:
            raise UnavailableError("explicit model load / unload is not allowed if polling is enabled")

    def _refuse_while_stopping(self) -> None:
        if self._stopping:
            raise UnavailableError("Server is stopping, no models can be loaded")


def _as_known_error(name: str, error: BaseException) -> TritonpyError:
    """What clients may be told of an error; the log gets all of one that nobody foresaw."""
    if not isinstance(error, TritonpyError):
        logger.error("loading '%s' failed unexpectedly", name, exc_info=error)
    return load_error(error)


async def _drop(loads: Sequence[asyncio.Task[ServedModel]]) -> None:
    """Stop the models of loads of which another failed or was given up."""
    outcomes = await asyncio.gather(*loads, return_exceptions=True)
    await asyncio.gather(*(_stop(outcome) for outcome in outcomes if isinstance(outcome, ServedModel)))


async def _stop(model: ServedModel) -> None:
    """Stop a model. One that does not end as it should keeps nobody from going on; the log tells."""
    try:
        await model.stop()
    except Exception:
        logger.exception("model '%s' version %d did not stop properly", model.name, model.version)

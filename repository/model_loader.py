"""Loads one model: folder -> configuration -> executors -> ServedModel, for each version that is to be served."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tritonpy.backends.contract import ModelSpec, model_spec
from tritonpy.backends.errors import InternalError, InvalidArgumentError, TritonpyError
from tritonpy.backends.executor import Executor
from tritonpy.backends.executors import complete, create_executors
from tritonpy.backends.registry import find_backend
from tritonpy.backends.signature import signature_from_config
from tritonpy.protos.generated import model_config_pb2
from tritonpy.repository import layout
from tritonpy.repository.autofill import autofill
from tritonpy.repository.completion import apply_completion
from tritonpy.repository.config_json import config_dict, config_json
from tritonpy.repository.config_text import read_config
from tritonpy.repository.gpus import gpu_ids
from tritonpy.repository.instance_rules import instances, validate_instances
from tritonpy.repository.labels import read_labels
from tritonpy.repository.normalise import normalise, normalise_instance_groups
from tritonpy.repository.options import RepositoryOptions
from tritonpy.repository.tensor_rules import validate_tensors
from tritonpy.repository.unsupported import ignored_features, refuse_unsupported
from tritonpy.repository.validate import validate
from tritonpy.repository.version_policy import choose_versions
from tritonpy.scheduler.served_model import ServedModel

ModelConfig = model_config_pb2.ModelConfig
logger = logging.getLogger(__name__)

# Triton's debugging aid: a batcher waits until this many requests are queued.
DELAY_SCHEDULER_VARIABLE = "TRITONSERVER_DELAY_SCHEDULER"


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What a model's folder asks for: its configuration as far as files tell it, and the versions to serve."""

    directory: Path
    config: ModelConfig
    versions: tuple[int, ...]


class ModelLoader:
    """Loads models as the options say; whatever touches files runs off the event loop."""

    def __init__(self, options: RepositoryOptions, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._loop = loop
        self._gpu_ids = gpu_ids()

    def plan(self, directory: Path) -> ModelPlan:
        """Read the configuration of the model in `directory` and choose its versions; blocking.

        Raises TritonpyError (with the place in the file where there is one) if the configuration is wrong.
        """
        config = self._read_config(directory)
        autofill(config, directory)
        normalise(config)
        validate(config)
        if config.name != directory.name:
            raise InternalError(
                f"unexpected directory name '{directory.name}' for model '{config.name}', directory name must equal "
                "model name"
            )
        if not self._options.auto_complete:
            validate_tensors(config)
        return ModelPlan(directory, config, tuple(choose_versions(config, layout.find_versions(directory))))

    def _read_config(self, directory: Path) -> ModelConfig:
        path = directory / layout.CONFIG_FILENAME
        if path.is_file():
            return read_config(path)
        if self._options.auto_complete:
            return ModelConfig()
        raise InternalError(f"failed to open text file for read {directory.name}/{path.name}: no such file")

    async def load_version(self, plan: ModelPlan, version: int) -> ServedModel:
        """Load one version and start its instances. Raises TritonpyError with the reason if that fails."""
        started_s, hold_until_count = time.monotonic(), _hold_until_count()
        config = await self._complete_config(plan, version)
        spec = self._spec(config, plan, version)
        labels = await self._loop.run_in_executor(None, read_labels, spec.signature, spec.name, plan.directory)
        executors = create_executors(spec, instances(config), self._loop)
        await _start_all(executors)
        return ServedModel(
            version,
            config,
            config_json(config),
            signature_from_config(config_dict(config)),
            executors,
            labels=labels,
            load_duration_s=time.monotonic() - started_s,
            hold_until_count=hold_until_count,
        )

    async def _complete_config(self, plan: ModelPlan, version: int) -> ModelConfig:
        """The configuration of one version, completed from its files and checked."""
        config = ModelConfig()
        config.CopyFrom(plan.config)
        refuse_unsupported(config)
        find_backend(config.backend)
        normalise_instance_groups(config, self._gpu_ids)
        validate_instances(config, self._gpu_ids)
        if self._options.auto_complete:
            await self._complete(config, plan, version)
        validate_tensors(config)
        for feature in ignored_features(config):
            logger.warning("model '%s' version %d asks for %s; it has no effect", config.name, version, feature)
        return config

    async def _complete(self, config: ModelConfig, plan: ModelPlan, version: int) -> None:
        completion = await complete(self._spec(config, plan, version), self._loop)
        if completion is not None:
            apply_completion(config, completion)
            normalise(config)
            validate(config)

    def _spec(self, config: ModelConfig, plan: ModelPlan, version: int) -> ModelSpec:
        return model_spec(
            version,
            plan.directory,
            plan.directory / str(version),
            config_json(config).decode(),
            self._options.backend_settings(config.backend),
        )


def _hold_until_count() -> int:
    text = os.environ.get(DELAY_SCHEDULER_VARIABLE, "0")
    if not text.isdecimal():
        raise InvalidArgumentError(f"{DELAY_SCHEDULER_VARIABLE} must be a whole number, got '{text}'")
    return int(text)


async def _start_all(executors: Sequence[Executor]) -> None:
    """Start all instances at the same time; if one fails, stop those that started and raise its error."""
    starts = [asyncio.ensure_future(executor.start()) for executor in executors]
    try:
        outcomes = await asyncio.gather(*starts, return_exceptions=True)
    except asyncio.CancelledError:
        await asyncio.gather(*starts, return_exceptions=True)
        await _stop_started(executors, starts)
        raise
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if errors:
        await _stop_started(executors, starts)
        raise next((error for error in errors if isinstance(error, TritonpyError)), errors[0])


async def _stop_started(executors: Sequence[Executor], starts: Sequence[asyncio.Future[None]]) -> None:
    """Stop the executors whose start, which is done, succeeded."""
    started = [
        executor
        for executor, start in zip(executors, starts, strict=True)
        if not start.cancelled() and start.exception() is None
    ]
    await asyncio.gather(*(executor.stop() for executor in started))

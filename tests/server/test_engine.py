"""The engine facade: version texts, metadata, health, and what is refused while the server goes down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.scheduler.fake_executor import FakeExecutor
from tritonpy.backends.errors import InvalidArgumentError, NotFoundError, UnavailableError
from tritonpy.backends.signature import signature_from_config
from tritonpy.protos.generated import model_config_pb2
from tritonpy.repository.config_json import config_dict, config_json
from tritonpy.repository.manager import ModelManager
from tritonpy.repository.states import IndexEntry
from tritonpy.scheduler.served_model import ServedModel
from tritonpy.server.engine import LATEST_VERSION, Engine, TensorMetadata, parse_version


@pytest.mark.parametrize(("text", "version"), [("", LATEST_VERSION), ("3", 3), ("03", 3), ("1.5", 1), (" 7x", 7)])
def test_version_texts_mean_their_leading_integer(text: str, version: int) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["abc", ".5", "9" * 19, "9" * 5000])
def test_other_version_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="failed to get model version from specified version string"):
        parse_version(text)


def test_negative_versions_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"invalid model version specified '-3' , version should be"):
        parse_version("-3")


class Models:
    """Stands in for the model manager: model `m` with versions 1 and 3 ready."""

    def __init__(self) -> None:
        self.models = {version: served(version) for version in (1, 3)}
        self.ready = True

    def find(self, name: str, version: int) -> ServedModel:
        if name != "m" or (version != LATEST_VERSION and version not in self.models):
            raise NotFoundError(f"Request for unknown model: '{name}' is not found")
        return self.models[max(self.models) if version == LATEST_VERSION else version]

    def ready_versions(self, name: str) -> list[int]:
        return sorted(self.models)

    def served(self) -> list[ServedModel]:
        return [self.models[1], self.models[3]]

    def all_ready(self) -> bool:
        return self.ready

    def is_ready(self, name: str, version: int) -> bool:
        return self.find(name, version) is not None

    def index(self, ready_only: bool) -> list[IndexEntry]:
        return [IndexEntry("m", "1", "READY")]


def served(version: int) -> ServedModel:
    config = model_config_pb2.ModelConfig(name="m", backend="python", max_batch_size=4)
    config.input.add(name="I", data_type=model_config_pb2.TYPE_FP32, dims=[2, -1])
    config.output.add(name="O", data_type=model_config_pb2.TYPE_STRING, dims=[1])
    signature = signature_from_config(config_dict(config))
    return ServedModel(version, config, config_json(config), signature, [FakeExecutor("m_0")])


@contextmanager
def engine() -> Iterator[tuple[Engine, Models]]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:

        async def make() -> Models:
            return Models()

        models = loop.run_until_complete(make())
        manager: ModelManager = models  # type: ignore[assignment]  # stands in for it
        yield Engine(manager, "name"), models
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_metadata_of_server_and_model() -> None:
    with engine() as (subject, _):
        assert subject.metadata().name == "name"
        assert "statistics" in subject.metadata().extensions
        metadata = subject.model_metadata("m")
        assert (metadata.versions, metadata.platform) == (("1", "3"), "python")
        assert metadata.inputs == (TensorMetadata("I", "FP32", (-1, 2, -1)),)
        assert metadata.outputs == (TensorMetadata("O", "BYTES", (-1, 1)),)
        assert subject.model_metadata("m", "1").versions == ("1",)


def test_statistics_of_all_one_model_or_one_version() -> None:
    with engine() as (subject, _):
        assert [model.version for model in subject.statistics()] == [1, 3]
        assert [model.version for model in subject.statistics("m", "3")] == [3]
        with pytest.raises(InvalidArgumentError, match="requested model 'x' is not available"):
            subject.statistics("x")
        with pytest.raises(InvalidArgumentError, match="requested model version is not available for model 'm'"):
            subject.statistics("m", "2")


def test_while_exiting_the_server_is_neither_live_nor_ready() -> None:
    with engine() as (subject, models):
        assert subject.is_live()
        assert subject.is_ready()
        models.ready = False
        assert not subject.is_ready()
        subject.begin_exit()
        for question in (subject.is_live, subject.is_ready):
            with pytest.raises(UnavailableError, match="Server exiting"):
                question()
        with pytest.raises(UnavailableError, match="Server not ready"):
            subject.is_model_ready("m")
        with pytest.raises(UnavailableError, match="Server not ready"):
            subject.repository_index()

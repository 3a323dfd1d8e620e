"""Configurations and model folders for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from google.protobuf import text_format

from tritonpy.protos.generated import model_config_pb2

ModelConfig = model_config_pb2.ModelConfig


def config_of(text: str = "") -> ModelConfig:
    """A configuration in protobuf text."""
    config = ModelConfig()
    text_format.Parse(text, config)
    return config


def python_config(text: str = "") -> ModelConfig:
    """The configuration of the Python model `m`, with more fields."""
    return config_of(f'name: "m" backend: "python" {text}')


def make_model(repository: Path, name: str, versions: Iterable[str] = ("1",), config: str | None = None) -> Path:
    """The folder of a model, with empty folders for its versions; without config.pbtxt if `config` is None."""
    directory = repository / name
    directory.mkdir(parents=True, exist_ok=True)
    for version in versions:
        (directory / version).mkdir(exist_ok=True)
    if config is not None:
        (directory / "config.pbtxt").write_text(config)
    return directory

"""The checked-in model configurations."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder.recipes import RECIPES, Recipe
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

MODELS = Path(__file__).resolve().parents[2] / "examples/models"


def read_config(folder: Path) -> ModelConfig:
    return text_format.Parse((folder / "config.pbtxt").read_text("utf-8"), ModelConfig())


def test_every_recipe_has_its_folder_and_every_folder_its_recipe() -> None:
    assert {folder.name for folder in MODELS.iterdir()} == {recipe.name for recipe in RECIPES}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_config_is_complete(recipe: Recipe) -> None:
    config = read_config(MODELS / recipe.name)
    assert config.name == recipe.name
    assert config.backend or config.platform
    for tensor in (*config.input, *config.output):
        assert tensor.name
        assert tensor.data_type
        assert tensor.dims


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_dynamic_batching_only_where_the_first_dimension_is_the_batch(recipe: Recipe) -> None:
    config = read_config(MODELS / recipe.name)
    assert config.HasField("dynamic_batching") == (config.max_batch_size > 0)


def test_packages_are_pinned_exactly() -> None:
    files = [file for recipe in RECIPES for file in (*recipe.files.values(), *recipe.samples.values())]
    assert all(file.requirement.count("==") == 1 and len(file.sha256) == 64 for file in files)

